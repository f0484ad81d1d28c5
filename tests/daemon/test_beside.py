"""Transcripts beside their recordings, and under names that the configuration makes."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
SPEECH = AUDIO / "speech.flac"


def configured(program: Make, output: str) -> Program:
    daemon = program(start=False)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('output = "out"', output, 1))
    return daemon


def files(daemon: Program) -> list[str]:
    return sorted(
        str(path.relative_to(daemon.inbox)) for path in daemon.inbox.rglob("*") if path.is_file()
    )


def test_transcripts_lie_beside_and_are_not_taken_in(program: Make) -> None:
    daemon = configured(program, 'output = "beside"')
    daemon.start()
    daemon.drop(SENTENCE, "a/talk.wav")
    daemon.wait("a/talk.wav", "completed")
    outputs = ["a/talk.json", "a/talk.srt", "a/talk.txt", "a/talk.vtt"]
    assert files(daemon) == sorted([*outputs, "a/talk.wav"])
    daemon.drop(SPEECH, "a/talk.flac")  # it would have the same names
    daemon.wait("a/talk.flac", "completed")
    more = [f"a/talk.flac.{suffix}" for suffix in ("json", "srt", "txt", "vtt")]
    assert files(daemon) == sorted([*outputs, *more, "a/talk.flac", "a/talk.wav"])
    assert len(daemon.jobs()) == 2
    daemon.stop()
    for path in (daemon.root / "state").glob("scriberrd.db*"):
        path.unlink()  # the database is lost, and so are its backups
    for path in (daemon.root / "state").rglob("*.db"):
        path.unlink()
    (daemon.root / "state/in-use").unlink(missing_ok=True)
    daemon.start()
    for name in ("a/talk.wav", "a/talk.flac"):
        job = daemon.wait(name, "completed")
        (run,) = daemon.ctl("show", job["id"])["executions"]
        assert run["device"] is None  # it was not done again
    assert files(daemon) == sorted([*outputs, *more, "a/talk.flac", "a/talk.wav"])
    daemon.ctl("remove", "--yes", "--purge", daemon.wait("a/talk.wav", "completed")["id"])
    wait_for(lambda: "a/talk.json" not in files(daemon), "they are deleted")
    assert files(daemon) == sorted([*more, "a/talk.flac", "a/talk.wav"])


def test_what_lies_beside_already_is_kept(program: Make) -> None:
    daemon = configured(program, 'output = "beside"')
    (daemon.inbox / "talk.txt").write_text("mine")
    daemon.start()
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "completed")
    assert (daemon.inbox / "talk.txt").read_text() == "mine"
    assert "talk.wav.json" in files(daemon)


@pytest.mark.parametrize("retention", ["", '[retention]\ntranscripts = "1ms"\n'])
def test_a_template_names_them(program: Make, retention: str) -> None:
    daemon = configured(program, 'output = "out"\noutput_name = "{date}/{inbox} {stem}"')
    daemon.start()
    (daemon.root / "new.wav").write_bytes(SENTENCE.read_bytes())
    os.utime(daemon.root / "new.wav", (1_000_000_000, 1_000_000_000))
    (daemon.inbox / "a").mkdir()
    (daemon.root / "new.wav").rename(daemon.inbox / "a/talk.wav")
    job = daemon.wait("a/talk.wav", "completed")
    base = "a/2001-09-09/main talk"
    assert daemon.files() == [f"{base}.{suffix}" for suffix in ("json", "srt", "txt", "vtt")]
    sha256 = hashlib.sha256(SENTENCE.read_bytes()).hexdigest()
    assert daemon.transcript(f"{base}.json")["source"]["sha256"] == sha256
    daemon.stop()
    text = daemon.config.read_text().replace("{date}/{inbox} {stem}", "{name}")
    daemon.config.write_text(text.replace("[retry]", f"{retention}[retry]"))
    daemon.start()
    if retention:
        wait_for(lambda: daemon.files() == [], "they are deleted for their age")
        return
    daemon.ctl("redo", job["id"])  # what is published keeps its name
    wait_for(lambda: len(daemon.ctl("show", job["id"])["executions"]) == 2, "it is done again")
    daemon.wait("a/talk.wav", "completed")
    assert daemon.files() == [f"{base}.{suffix}" for suffix in ("json", "srt", "txt", "vtt")]
