"""A recording is replaced while it is on its way, or is no recording at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
SPEECH = AUDIO / "speech.m4a"


@pytest.mark.fault(30)
def test_a_recording_is_replaced_while_it_is_queued(program: Make) -> None:
    """a recording is replaced while it is queued -> only its new version is transcribed"""
    daemon = program()
    daemon.ctl("pause")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "queued")
    daemon.drop(SPEECH, "talk.wav")
    size = SPEECH.stat().st_size
    wait_for(lambda: daemon.jobs()[0]["source"]["size"] == size, "the new version")
    daemon.ctl("resume")
    daemon.wait("talk.wav", "completed")
    assert daemon.transcript("talk.json")["source"]["size"] == size


@pytest.mark.fault(30)
@pytest.mark.parametrize("how", ["written over", "renamed over"])
def test_a_recording_is_replaced_while_it_is_transcribed(program: Make, how: str) -> None:
    """a recording is replaced while it is transcribed
    -> the stale result is dropped, the new version is transcribed"""
    daemon = program(model="ok+slow")
    daemon.drop(TALK, "talk.wav")
    daemon.underway("talk.wav", 10)
    if how == "written over":
        daemon.drop(SPEECH, "talk.wav")
    else:
        daemon.drop(SPEECH, ".new")
        os.rename(daemon.inbox / ".new", daemon.inbox / "talk.wav")
        daemon.dropped[b"talk.wav"] = daemon.dropped.pop(b".new")
    size = SPEECH.stat().st_size

    def done() -> bool:
        job = daemon.job("talk.wav")
        return bool(job and job["state"] == "completed" and job["source"]["size"] == size)

    wait_for(done, lambda: str(daemon.jobs()))
    assert daemon.transcript("talk.json")["source"]["size"] == size


@pytest.mark.fault(30)
def test_a_recording_is_written_anew_with_the_same_bytes(program: Make) -> None:
    """a recording is written anew with the same bytes while it is transcribed
    -> it is done once, in one run"""
    daemon = program(model="ok+slow")
    daemon.drop(TALK, "talk.opus")
    daemon.underway("talk.opus", 10)
    daemon.drop(TALK, ".new")
    os.rename(daemon.inbox / ".new", daemon.inbox / "talk.opus")
    del daemon.dropped[b".new"]
    job = daemon.wait("talk.opus", "completed")
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert run["outcome"] == "completed"


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"", {"empty_file"}),
        (bytes(range(256)) * 400, {"invalid_media"}),
        (SPEECH.read_bytes()[:2000], {"invalid_media"}),
        (SENTENCE.read_bytes()[:44], {"empty_audio"}),
        (SENTENCE.read_bytes()[:40_000], {None}),
    ],
)
def test_a_recording_is_damaged(program: Make, content: bytes, codes: set[str | None]) -> None:
    """a recording is empty, garbage or cut short -> a clear error in the end, or what is there"""
    daemon = program()
    daemon.drop(content, "bad.wav")
    daemon.drop(SENTENCE, "good.wav")
    job = daemon.wait("bad.wav", "failed", "completed")
    assert (job["error"] or {}).get("code") in codes
    daemon.wait("good.wav", "completed")
