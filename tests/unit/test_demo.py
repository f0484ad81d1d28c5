"""What `scriberrd demo` decides before it starts anything."""

from __future__ import annotations

import http.server
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from program import AUDIO

from scriberrd import demo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent


def test_what_is_no_recording_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"x\.txt' has no extension of a recording: wav"):
        demo.run([tmp_path / "x.txt"])


def test_a_model_that_cannot_be_loaded_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / demo.MODEL / "snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.bin").write_bytes(b"junk")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    engine, why = demo.choose_engine()
    assert (engine, "can't be loaded" in why) == ("offline", True)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A hub that answers when it is asked who it is, and then no more; gives how to end that."""
    end = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                end.wait(60)
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "*")
        yield end.set
        end.set()
        server.shutdown()


def test_a_download_that_stalls_ends_the_demo(
    hub: Callable[[], None],  # noqa: ARG001 - it stalls
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "STALL", 5)
    assert demo.run([AUDIO / "sentence.wav"]) != 0
    out, err = capfd.readouterr()
    assert "which is downloaded now" in out
    assert "no progress for 5 s" in out + err
    assert "its download stalled" in err


def test_a_hub_without_the_model_ends_the_demo(
    hub: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    hub()
    assert demo.run([AUDIO / "sentence.wav"]) == 1
    assert "can't download " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["AUDIO=my file.wav"], ["my file.wav"]),
        (['AUDIO=a $$(b) "c".wav'], ['a $(b) "c".wav']),
        ([], ["test-audio/sentence.wav", "test-audio/speech.m4a"]),
    ],
)
def test_make_hands_on_names_as_they_are(
    tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    (tmp_path / "scriberrd").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tmp_path / "scriberrd").chmod(0o755)
    made = ["-o", ".venv/demo", f"BIN={tmp_path}"]
    done = subprocess.run(
        ["make", "-s", "-C", ROOT, "demo", *made, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "demo"
    assert lines[1 : 1 + len(expected)] == expected
