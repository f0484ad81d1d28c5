"""A recording that is touched, or copied over with the same bytes, while it is worked on."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]


def touch(file: Path, _: Path) -> None:
    os.utime(file, (1_000_000_000, 1_000_000_000))


def rename_over(file: Path, source: Path) -> None:
    """As rsync and most editors do it."""
    shutil.copy(source, file.with_name(".new"))
    file.with_name(".new").rename(file)


def in_place(file: Path, source: Path) -> None:
    """As `rsync --inplace` does it: never shorter."""
    with file.open("r+b") as target:
        target.write(source.read_bytes())


def rsync(file: Path, source: Path) -> None:
    os.utime(file, (1_000_000_000, 1_000_000_000))
    subprocess.run(["rsync", "--times", "--ignore-times", source, file], check=True)


CHANGES = [touch, rename_over, in_place]
if shutil.which("rsync"):
    CHANGES.append(rsync)


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_bytes_again_are_no_change(
    program: Make, change: Callable[[Path, Path], None]
) -> None:
    daemon = program(model="ok+slow")
    daemon.drop(TALK, "talk.opus")
    daemon.underway("talk.opus", 10)
    change(daemon.inbox / "talk.opus", TALK)
    job = daemon.wait("talk.opus", "completed")
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert run["outcome"] == "completed"
    assert len(daemon.jobs()) == 1
    daemon.stop()
    daemon.start()  # and nothing is found to be new
    daemon.drop(AUDIO / "sentence.wav", "next.wav")
    daemon.wait("next.wav", "completed")
    assert len(daemon.ctl("show", job["id"])["executions"]) == 1


def test_before_it_is_claimed_too(program: Make) -> None:
    daemon = program()
    daemon.ctl("pause")
    daemon.drop(TALK, "talk.opus")
    daemon.wait("talk.opus", "queued")
    os.utime(daemon.inbox / "talk.opus", (1_000_000_000, 1_000_000_000))
    daemon.ctl("resume")
    job = daemon.wait("talk.opus", "completed")
    assert [run["outcome"] for run in daemon.ctl("show", job["id"])["executions"]] == ["completed"]


def test_other_bytes_are(program: Make) -> None:
    daemon = program(model="ok+slow")
    daemon.drop(TALK, "talk.opus")
    daemon.underway("talk.opus", 10)
    daemon.drop(AUDIO / "speech.flac", "talk.opus")
    new = daemon.ctl("status") and daemon.dropped[b"talk.opus"]

    def done() -> bool:
        job = daemon.job("talk.opus")
        return bool(job and job["state"] == "completed" and job["source"]["size"] == len(new))

    wait_for(done, lambda: str(daemon.jobs()))
    assert daemon.transcript("talk.json")["source"]["size"] == len(new)


def test_what_can_not_be_decoded_is_tried_again_if_it_was_just_written(program: Make) -> None:
    daemon = program()
    daemon.drop(b"no sound", "new.wav")
    (daemon.root / "old.wav").write_bytes(b"no sound either")
    os.utime(daemon.root / "old.wav", (1_000_000_000, 1_000_000_000))
    (daemon.root / "old.wav").rename(daemon.inbox / "old.wav")
    codes = {}
    for name in ("new.wav", "old.wav"):
        job = daemon.wait(name, "failed")
        runs = daemon.ctl("show", job["id"])["executions"]
        codes[name] = [run["error"]["code"] for run in runs]
    expected = ["invalid_media"]
    assert codes == {"new.wav": ["just_written", *expected], "old.wav": expected}


def test_a_copy_that_goes_on_after_a_pause_never_fails(program: Make) -> None:
    daemon = program(backoff="60s")
    daemon.drop(TALK.read_bytes()[:20], "talk.opus")
    wait_for(
        lambda: ((daemon.job("talk.opus") or {}).get("error") or {}).get("code") == "just_written",
        "the half of it has been read",
    )
    with (daemon.inbox / "talk.opus").open("ab") as file:
        file.write(TALK.read_bytes()[20:])
    daemon.wait("talk.opus", "completed", "failed")
    assert daemon.jobs()[0]["state"] == "completed"
    assert len(daemon.jobs()) == 1
