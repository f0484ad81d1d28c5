from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import eventually

from scriberrd.errors import NoAnswer
from scriberrd.files import folders
from scriberrd.files.folders import Folders

DEAD, LIVE = Path("/dead"), Path("/live")


@pytest.fixture(autouse=True)
def _short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LIMIT", 0.05)


async def test_gives_what_the_call_gives_and_raises_what_it_raises() -> None:
    assert await Folders().run(LIVE, int, "12") == 12
    with pytest.raises(ValueError, match="invalid literal"):
        await Folders().run(LIVE, int, "x")
    with pytest.raises(TimeoutError, match="its own"):
        await Folders().run(LIVE, _raise, TimeoutError("its own"))


def _raise(error: Exception) -> None:
    raise error


async def test_a_folder_that_does_not_answer_holds_up_nobody_else() -> None:
    asked, never = Folders(), threading.Event()
    for _ in range(50):
        with pytest.raises(NoAnswer):
            await asked.run(DEAD, never.wait)
    assert [thread.name for thread in threading.enumerate()].count(folders.BUSY) == 1
    assert not asked.answers(DEAD)
    assert await asked.run(LIVE, int, "1") == 1
    never.set()
    await eventually(lambda: asked.answers(DEAD))
    assert await asked.run(DEAD, int, "2") == 2


async def test_a_cancelled_call_goes_on() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait()
        done.set()

    waiting = asyncio.create_task(Folders().run(LIVE, work))
    await eventually(begun.is_set)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await eventually(done.is_set)


def test_the_exit_does_not_wait() -> None:
    script = """
import asyncio, threading
from pathlib import Path
from scriberrd.errors import NoAnswer
from scriberrd.files import folders
folders.LIMIT = 0.01
async def main():
    try:
        await folders.Folders().run(Path("/dead"), threading.Event().wait)
    except NoAnswer as error:
        print(error.strerror)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "its file system does not answer\n"
