"""A window that closes and opens, with a clock of one's own and real workers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from program import TALK, TESTS

from scriberrd.config import Config, Daemon, Inbox, Live, Retry, Worker
from scriberrd.files.folders import Folders
from scriberrd.hours import Hours
from scriberrd.inbox.intake import Intake
from scriberrd.library.library import Library
from scriberrd.model import Job, JobState
from scriberrd.output.publisher import Publisher
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.units import Count
from scriberrd.work.dispatch import Dispatcher
from scriberrd.work.machine import Machine
from scriberrd.work.means import Means
from scriberrd.work.preflight import Preflights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import pytest

MORNING = 1_700_042_400.0  # 2023-11-15T10:00Z
HOUR = 3600.0


class Clock:
    """As fast as the real one, but it can be set."""

    def __init__(self) -> None:
        self.ahead = MORNING - time.time()
        self.looks = 0

    def time(self) -> float:
        self.looks += 1
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()


@contextlib.asynccontextmanager
async def dispatching(config: Config, store: Store, clock: Clock) -> AsyncIterator[Dispatcher]:
    folders = Folders()
    publisher = Publisher(store, folders, clock)
    live = Live(config)
    library = Library(config.file.parent, live, clock)
    dispatcher = Dispatcher(
        Means(live, store, clock, folders, publisher, library, Preflights(live)),
        Machine(1, 0, gpu=False),
    )
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        await running
        library.close()
        store.close()


async def reached(store: Store, condition: Callable[[Job], object]) -> Job:
    async with asyncio.timeout(60):
        while True:
            seen = store.bell.rings
            job = await store.read(queries.get, 1)
            if condition(job):
                return job
            await store.bell.wait(seen)


def configured(folder: Path, hours: Hours) -> Config:
    """One inbox, and one pool with these hours."""
    for name in ("in", "out"):
        (folder / name).mkdir()
    return Config(
        file=folder / "scriberrd.toml",
        daemon=Daemon(),
        inboxes=(Inbox(name="main", path=folder / "in", output=folder / "out"),),
        profiles={"default": Settings(engine="fake", model="slow", block_seconds=5)},
        workers=(Worker(name="cpu", count=Count(1), threads=Count(1), hours=hours),),
        retry=Retry(),
    )


async def test_a_run_ends_when_the_window_closes_and_goes_on_when_it_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS / "fake_engine"))
    clock = Clock()
    opens = time.localtime(clock.time()).tm_hour
    hours = Hours.read(f"{opens:02}:00-{(opens + 1) % 24:02}:00")
    config = configured(tmp_path, hours)
    (tmp_path / "in/long.opus").write_bytes(TALK.read_bytes())
    store = Store(tmp_path / "queue.db")
    async with dispatching(config, store, clock) as dispatcher:
        await Intake(Live(config), store, clock, Folders()).accept(config.inboxes[0], b"long.opus")
        await reached(store, lambda job: job.progress >= 10)
        clock.ahead += 2 * HOUR
        job = await reached(store, lambda job: job.state is JobState.QUEUED)
        assert (job.failures, job.not_before) == (0, 0)
        (slot,) = dispatcher.slots
        assert slot.status().reason == f"outside its hours ({hours})"
        clock.ahead += 22 * HOUR
        store.bell.ring()  # rather than to wait for the next minute
        await reached(store, lambda job: job.state is JobState.COMPLETED)
        runs = await store.read(queries.executions, 1)
        assert [run.outcome for run in runs] == ["released", "completed"]
        assert runs[1].audio_seconds < (job.duration or 0) - 10  # what was done is not done again


async def test_a_retry_that_is_due_waits_for_the_window_in_peace(tmp_path: Path) -> None:
    clock = Clock()
    opens = (time.localtime(clock.time()).tm_hour + 6) % 24
    config = configured(tmp_path, Hours.read(f"{opens:02}:00-{(opens + 1) % 24:02}:00"))
    (tmp_path / "in/one.opus").write_bytes(TALK.read_bytes())
    store = Store(tmp_path / "queue.db")
    await Intake(Live(config), store, clock, Folders()).accept(config.inboxes[0], b"one.opus")
    job = await store.run(jobs.claim, "cpu", now=clock.time(), expires=1e9, longest=HOUR)
    assert job is not None
    lease = jobs.Lease(job.id, job.lease)
    await store.run(
        jobs.fail, lease, "engine_failed", "", retry=config.retry, now=clock.time() - HOUR
    )
    async with dispatching(config, store, clock):
        for _ in range(20):
            await store.read(queries.stream)  # what goes in circles comes round here
        before = clock.looks
        for _ in range(100):
            await store.read(queries.stream)
        assert clock.looks == before
