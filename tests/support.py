"""What several tests need."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from scriberrd.model import Identity, Job, JobState
from scriberrd.settings import Settings
from scriberrd.transcript import BlockResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import apsw


async def eventually(condition: Callable[[], object], *, within: float = 60.0) -> None:
    """Wait until the condition holds; fail when it does not in time (seconds)."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {condition}"
        await asyncio.sleep(0.01)


def block(number: int) -> BlockResult:
    """Ten seconds in which nothing was said."""
    return BlockResult(
        number=number,
        start=number * 10.0,
        end=number * 10.0 + 10,
        speech=0.0,
        language="en",
        language_probability=1.0,
        segments=(),
        words=(),
    )


def submitted(**fields: Any) -> Job:
    """A job as it is when its recording has just been queued, but for these fields."""
    job = Job(
        id=1,
        state=JobState.QUEUED,
        stage=None,
        inbox="inbox",
        path=b"talk.mp3",
        identity=Identity(1, 2, 3, 4, 5),
        sha256="0",
        profile="default",
        settings=Settings(),
        priority=2,
        lease=0,
        lease_expires=None,
        failures=0,
        deaths=0,
        interruptions=0,
        fallbacks=(),
        not_before=0.0,
        cancel_requested=False,
        redo=False,
        redo_stage=None,
        overrides={},
        created_at=1.0,
        queued_at=1.0,
        started_at=None,
        finished_at=None,
        progress=0.0,
        diarized=None,
        duration=None,
        language=None,
        shown=None,
        cached=False,
        uploaded=False,
        submitted_by=None,
        sidecar=None,
        disposed=None,
        leaving=None,
        warnings=(),
        error_code=None,
        error_detail=None,
        outputs=(),
        edited=(),
        names={},
    )
    return msgspec.structs.replace(job, **fields)


@contextlib.contextmanager
def mounted(folder: Path, *options: str | Path) -> Iterator[None]:
    """Have a file system of its own at a folder."""
    with _mounted(folder, "mount", "-t", "tmpfs", *options, "tmpfs"):
        yield


@contextlib.contextmanager
def bound(source: Path, folder: Path) -> Iterator[None]:
    """Have what one folder, or file, shows be seen at another one, too."""
    with _mounted(folder, "mount", "--bind", source):
        yield


@contextlib.contextmanager
def fused(source: Path, folder: Path) -> Iterator[None]:
    """The same through FUSE, which tells nobody of what changes at the source."""
    if shutil.which("bindfs") is None:
        pytest.skip("there is no bindfs")
    with _mounted(folder, "bindfs", source):
        yield


@contextlib.contextmanager
def _mounted(folder: Path, *command: str | Path) -> Iterator[None]:
    if not folder.exists():
        folder.mkdir()
    if subprocess.run([*command, folder], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def steps(db: apsw.Connection, function: Callable[[], object]) -> int:
    """How many steps of SQLite's machine it takes."""
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    db.set_progress_handler(count, 1)
    function()
    db.set_progress_handler(None)
    return counted
