"""What kept a recording from being read may be mended without a trace at the recording itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, Program
from taken import Taken, taking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Taken]:
    with taking(tmp_path) as taken:
        yield taken


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    program.start(*POWERLESS)
    yield program
    assert program.stop() == 0


def test_a_recording_in_a_closed_folder_is_tried_again_once_it_is_open(program: Program) -> None:
    program.ctl("pause")
    program.drop(AUDIO / "sentence.wav", "new/talk.wav")
    job = program.wait("new/talk.wav", "queued")
    (program.inbox / "new").chmod(0)
    program.ctl("resume")
    failed = program.wait("new/talk.wav", "failed")
    assert failed["error"]["code"] == "unreadable"
    (program.inbox / "new").chmod(0o700)
    assert program.wait("new/talk.wav", "completed")["id"] == job["id"]


async def test_what_can_be_opened_at_last_is_news(taken: Taken) -> None:
    (taken.folder / "a.wav").write_bytes(b"one")
    await taken.take("a.wav")
    assert await taken.unknown("a.wav") == []
    await taken.fail("unreadable")
    assert await taken.unknown("a.wav") == ["a.wav"]
    assert await taken.unknown("a.wav") == ["a.wav"]  # while it settles
    job, new = await taken.take("a.wav")
    assert (job.id, job.state, job.error_code, new) == (1, "queued", None, True)
    assert await taken.unknown("a.wav") == []


async def test_what_still_cannot_be_opened_is_tried_now_and_then(taken: Taken) -> None:
    file, away = taken.folder / "a.wav", taken.folder / "away"
    file.write_bytes(b"one")
    found = taken.found("a.wav")
    await taken.take("a.wav")
    await taken.fail("unreadable")
    file.rename(away)
    assert await taken.arrivals.unknown(taken.inbox, found) == ([], found)
    away.rename(file)
    assert await taken.arrivals.unknown(taken.inbox, found) == ([], found)  # it was tried just now
    taken.clock.ahead += 61
    assert await taken.arrivals.unknown(taken.inbox, found) == (found, found)


@pytest.mark.parametrize("code", ["invalid_media", "no_audio_stream"])
async def test_other_failures_are_final_for_these_bytes(taken: Taken, code: str) -> None:
    (taken.folder / "a.wav").write_bytes(b"one")
    await taken.take("a.wav")
    await taken.fail(code)
    assert await taken.unknown("a.wav") == []
    assert (await taken.take("a.wav"))[1] is False
