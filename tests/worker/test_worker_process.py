"""A worker as the daemon sees it: what it prints, and what its end is taken for."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from child import AUDIO, DEADLINE, FAKE, task

from scriberrd import logs, protocol
from scriberrd.errors import WorkerDied
from scriberrd.logs import Event
from scriberrd.logs.lines import Formatter
from scriberrd.work.process import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@pytest.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    worker = await Process.spawn("cpu")
    yield worker
    await worker.kill()


def send(process: Process, job: int, script: str) -> None:
    source = os.open(AUDIO / "dialogue.opus", os.O_RDONLY)
    process.send(task(job=job, engine="fake", model=script, block_seconds=30.0), source)
    os.close(source)


async def until(process: Process, kind: type[protocol.Reply]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not isinstance(await process.receive(), kind):
            pass


async def death(process: Process) -> str:
    with pytest.raises(WorkerDied) as caught:
        await until(process, protocol.Finished)
    return caught.value.failure


def blocked_until(condition: Callable[[], bool]) -> None:
    """Wait, and let the event loop stand still meanwhile."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def test_who_was_killed_idle_has_not_touched_the_next_recording(process: Process) -> None:
    send(process, 1, "ok")
    await until(process, protocol.Finished)
    os.kill(process.pid, signal.SIGKILL)
    blocked_until(lambda: not process.alive)
    send(process, 2, "ok")
    assert await death(process) == "no_worker"


async def test_a_command_for_a_dead_worker_does_not_hide_what_it_died_of(process: Process) -> None:
    send(process, 1, "slow")
    await until(process, protocol.Loaded)
    os.kill(process.pid, signal.SIGSEGV)
    blocked_until(lambda: not process.alive)
    process.send(protocol.Stop(job=1, lease=1, after_block=True))
    with pytest.raises(WorkerDied, match="signal 11") as caught:
        await until(process, protocol.Finished)
    assert caught.value.failure == "worker_crashed"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT])
async def test_who_is_killed_by_hand_is_called_so(process: Process, number: int) -> None:
    send(process, 1, "slow")
    await until(process, protocol.Loaded)
    os.kill(process.pid, number)
    assert await death(process) == "worker_killed"


async def test_what_it_prints_is_told_with_its_job(
    process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(Formatter("journal"))
    with logs.about(job=3, inbox="talks", path="a.wav"):
        send(process, 3, "exit")
    assert await death(process) == "worker_crashed"
    told = [line for line in caplog.text.splitlines() if "last words" in line]
    assert told == ["<4>job 3 talks/a.wav: worker cpu: my last words: /secret/place"]
    (died,) = [one for one in caplog.records if getattr(one, "event", None) is Event.WORKER_DIED]
    assert died.levelname == "WARNING"
    assert " ended, pid" not in caplog.text  # one end is one line
