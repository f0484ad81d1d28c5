"""Big files are read without anybody having to wait for them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, cast

import psutil
import pytest
from support import eventually, mounted
from taken import taking

from scriberrd.config import Config, Daemon, Inbox, Live, Retry
from scriberrd.errors import UploadFailed
from scriberrd.files.folders import Folders
from scriberrd.inbox.intake import Intake
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from scriberrd.queue.store import Store

MEGABYTE, TERABYTE = 1 << 20, 1 << 40


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    with (tmp_path / "big.wav").open("wb") as file:
        file.truncate(TERABYTE)  # no byte of it is on the disk
    return Inbox(name="inbox", path=tmp_path, output=tmp_path)


@pytest.fixture
def intake(inbox: Inbox, tmp_path: Path) -> Intake:
    config = Config(
        file=tmp_path / "toml",
        daemon=Daemon(state_dir=tmp_path, socket=tmp_path / "s"),
        inboxes=(inbox,),
        profiles={"default": Settings()},
        workers=(),
        retry=Retry(),
    )
    return Intake(Live(config), cast("Store", None), time, Folders())


def reading() -> bool:
    return any(thread.name == "folder" for thread in threading.enumerate())


async def test_a_file_is_not_read_on_for_nobody(inbox: Inbox, intake: Intake) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(intake.accept(inbox, b"big.wav"), 0.1)
    await eventually(lambda: not reading())


async def test_other_work_does_not_wait_for_files(inbox: Inbox, intake: Intake) -> None:
    loop, process = asyncio.get_running_loop(), psutil.Process()
    many = [asyncio.create_task(intake.accept(inbox, b"big.wav")) for _ in range(50)]
    read = process.io_counters().read_chars
    await eventually(lambda: process.io_counters().read_chars > read + MEGABYTE)
    await asyncio.wait_for(loop.run_in_executor(None, int), 60)
    for task in many:
        task.cancel()
    ended = await asyncio.gather(*many, return_exceptions=True)
    assert {type(one) for one in ended} == {asyncio.CancelledError}
    await eventually(lambda: not reading())


async def test_one_that_is_too_large_is_not_read_for_anybody(tmp_path: Path) -> None:
    with taking(tmp_path, max_size=MEGABYTE) as taken:
        path = taken.folder / "big.wav"
        path.touch()
        os.truncate(path, TERABYTE)
        job, new = await taken.intake.accept(taken.inbox, b"big.wav")
        assert (job.identity, job.sha256, new) == (taken.found("big.wav")[0].identity, None, True)
        await taken.fail("too_large")
        assert (await taken.intake.redo(job.id)).sha256 is None
        os.truncate(path, MEGABYTE)
        job, _ = await taken.intake.accept(taken.inbox, b"big.wav")
        assert job.sha256 is not None


async def test_a_read_only_inbox_says_what_to_do(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"sound"

    with taking(tmp_path) as taken, mounted(taken.folder, "-o", "ro"):
        advice = "Read-only file system.: have it mounted writable, or copy the recording there"
        with pytest.raises(UploadFailed, match=advice):
            await taken.intake.receive(taken.inbox, "talk.wav", chunks())
