"""What `scriberrd demo` decides before it starts anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest

from scriberrd import demo

ROOT = Path(__file__).parent.parent.parent


def test_what_is_no_recording_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(
        click.UsageError, match=r"x\.txt' is not named as a recording; allowed: wav"
    ):
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
