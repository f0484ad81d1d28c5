"""The output folder can't be written."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]
    Mount = Callable[..., None]

DIALOGUE = AUDIO / "dialogue.opus"


def failure(program: Program) -> dict[str, Any]:
    """The recording's job, once it has an error."""

    def found() -> dict[str, Any] | None:
        job = program.job("long.opus")
        return job if job is not None and job["error"] else None

    return wait_for(found, "the failure")


@pytest.mark.fault(38)
def test_full(program: Make, mount: Mount) -> None:
    """no space left in the output folder
    -> disk_full, nothing partial, no failure counted; published by itself when there is room"""
    daemon = program()
    mount(daemon.out, "-t", "tmpfs", "-o", "size=16k", "tmpfs")
    filler = daemon.out / "filler"
    filler.write_bytes(bytes(8192))
    daemon.drop(DIALOGUE, "long.opus")
    job = failure(daemon)
    assert (job["error"]["code"], job["failures"]) == ("disk_full", 0)
    assert daemon.files() == ["filler"]
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=1m", daemon.out], check=True)
    assert daemon.wait("long.opus", "completed")["failures"] == 0


@pytest.mark.fault(38)
def test_read_only(program: Make, mount: Mount) -> None:
    """the output folder becomes read-only
    -> output_unwritable, no failure counted; published by itself when it is writable"""
    daemon = program()
    mount(daemon.out, "-t", "tmpfs", "tmpfs")
    subprocess.run(["mount", "-o", "remount,ro", daemon.out], check=True)
    daemon.drop(DIALOGUE, "long.opus")
    job = failure(daemon)
    assert (job["error"]["code"], job["failures"]) == ("output_unwritable", 0)
    assert daemon.files() == []
    subprocess.run(["mount", "-o", "remount,rw", daemon.out], check=True)
    assert daemon.wait("long.opus", "completed")["failures"] == 0
