"""A run and its owner: interruptions are answered at once, and the lease means something."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import TALK, TESTS

from scriberrd import protocol
from scriberrd.config import Config, Daemon, Retry, Worker
from scriberrd.errors import TaskFailed, WorkerDied
from scriberrd.model import Identity, Job, Source, Stage
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.units import Count, Span
from scriberrd.work import run as runs
from scriberrd.work.preemption import to_preempt
from scriberrd.work.run import Interrupted, Run
from scriberrd.work.slot import Slot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from scriberrd.transcript import Diarization

DEADLINE = 60.0  # seconds: far more than anything here takes
LEASE = 30.0  # seconds on the clock of the tests


class Clock:
    """Stands still, or goes on by so many seconds with each look at it."""

    def __init__(self) -> None:
        self.now, self.step = 1000.0, 0.0

    def time(self) -> float:
        return 1e9 + self.now

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


class Owner:
    """A run of the only job, and what its slot is told."""

    def __init__(self, store: Store, job: Job, clock: Clock) -> None:
        pool = Worker(name="cpu", threads=Count(1), stall_timeout=Span(LEASE))
        config = Config(
            file=Path(), daemon=Daemon(), inboxes=(), profiles={}, workers=(pool,), retry=Retry()
        )
        self.slot = Slot("cpu", pool, clock)
        self.loaded, self.held_up = asyncio.Event(), asyncio.Event()
        self.run = Run(
            job,
            pool,
            config,
            store=store,
            clock=clock,
            worker=self.slot.worker,
            loaded=self.loaded.set,
            held_up=self.held_up.set,
        )

    async def transcribe(self, script: str) -> None:
        """Have a real worker do what a script of the fake engine says."""
        task = protocol.Task(
            job=self.run.job.id,
            lease=self.run.job.lease,
            settings=Settings(engine="fake", model=script, block_seconds=5),
            hardware=protocol.Hardware(device="cpu", threads=1, compute_type="auto"),
            share=1,
            resume=None,
            auto_download=False,
            model_cache="",
        )
        source = os.open(TALK, os.O_RDONLY)
        try:
            await self.run.transcribe(task, source)
        finally:
            os.close(source)

    async def diarize(self, script: str) -> Diarization:
        """The same with the fake diarizer."""
        task = protocol.Diarize(
            job=self.run.job.id,
            lease=self.run.job.lease,
            diarizer="fake",
            model=script,
            hints=protocol.Hints(),
            track="default",
            duration=10.0,
            device="cpu",
            threads=1,
            share=1,
            auto_download=False,
            model_cache="",
        )
        source = os.open(TALK, os.O_RDONLY)
        try:
            return await self.run.diarize(task, source)
        finally:
            os.close(source)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "queue.db")) as opened:
        yield opened


@pytest.fixture
async def owner(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Owner]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS / "fake_engine"))
    source = Source("inbox", b"talk.opus", Identity(1, 2, 3, 4, 5), "0" * 64)
    await store.run(jobs.submit, source, profile="default", settings=Settings(), now=0.0)
    expires = clock.now + LEASE
    job = await store.run(jobs.claim, "cpu", now=1.0, expires=expires, longest=1.0)
    assert job is not None
    made = Owner(store, job, clock)
    yield made
    await made.slot.unload()


@pytest.fixture
def no_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the next look at the clock waits in vain."""
    monkeypatch.setattr(runs, "LOOK", 10 * DEADLINE)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LOOK", 0.001)


async def forever() -> None:
    await asyncio.Event().wait()


async def ended(run: Run, stages: Any) -> Any:
    async with asyncio.timeout(DEADLINE):
        return await run.through(stages)


async def soon(condition: Callable[[Job], object], store: Store) -> Job:
    async with asyncio.timeout(DEADLINE):
        while not condition(job := await store.read(queries.get, 1)):
            await asyncio.sleep(0.01)
        return job


@pytest.mark.usefixtures("no_looks")
@pytest.mark.parametrize("how", ["cancel", "release", "preempt", "close"])
async def test_who_waits_for_a_folder_is_interrupted_at_once(owner: Owner, how: Any) -> None:
    running = asyncio.create_task(ended(owner.run, forever()))
    await asyncio.sleep(0)
    assert owner.run.interrupt(how)
    with pytest.raises(Interrupted):
        await running


@pytest.mark.usefixtures("no_looks")
async def test_a_cancel_does_not_wait_for_a_silent_worker(owner: Owner) -> None:
    running = asyncio.create_task(ended(owner.run, owner.transcribe("slow")))
    await owner.loaded.wait()
    process = await owner.slot.worker()
    os.kill(process.pid, 19)  # SIGSTOP: there is no reply any more
    owner.run.interrupt("cancel")
    with pytest.raises(Interrupted):
        await running
    assert not process.alive


@pytest.mark.usefixtures("no_looks")
async def test_who_makes_way_ends_at_the_block(owner: Owner, store: Store) -> None:
    running = asyncio.create_task(ended(owner.run, owner.transcribe("slow")))
    await soon(lambda job: job.progress > 0, store)
    owner.run.interrupt("preempt")
    with pytest.raises(Interrupted):
        await running
    last = (await store.read(jobs.work, 1)).last
    assert last is not None
    assert (await store.read(queries.get, 1)).progress == last.end
    assert (await owner.slot.worker()).alive  # it goes on with the next job


@pytest.mark.usefixtures("no_looks")
@pytest.mark.parametrize("how", ["preempt", "close"])
async def test_who_tells_speakers_apart_makes_no_way(owner: Owner, store: Store, how: Any) -> None:
    owner.slot.run = owner.run
    running = asyncio.create_task(ended(owner.run, owner.diarize("slow")))
    await soon(lambda job: job.stage is Stage.DIARIZING, store)
    assert to_preempt([owner.slot], 1, []) == to_preempt([owner.slot], 1, [], alone=True) == []
    owner.run.interrupt(how)
    assert len({turn.speaker for turn in (await running).turns}) == 2
    assert (await store.read(queries.get, 1)).progress == 0  # which is of the words


@pytest.mark.usefixtures("no_looks")
async def test_a_cancel_does_not_wait_for_a_silent_diarizer(owner: Owner, store: Store) -> None:
    running = asyncio.create_task(ended(owner.run, owner.diarize("slow")))
    await soon(lambda job: job.stage is Stage.DIARIZING, store)
    process = await owner.slot.worker("diarizer")
    os.kill(process.pid, 19)  # SIGSTOP
    owner.run.interrupt("cancel")
    with pytest.raises(Interrupted):
        await running
    assert not process.alive


@pytest.mark.usefixtures("quick_looks")
async def test_a_stop_does_not_wait_for_the_speakers(
    owner: Owner, store: Store, clock: Clock
) -> None:
    running = asyncio.create_task(ended(owner.run, owner.diarize("hang")))
    await soon(lambda job: job.stage is Stage.DIARIZING, store)
    owner.run.interrupt("release")
    clock.step = 0.1
    with pytest.raises(Interrupted):
        await running


@pytest.mark.usefixtures("no_looks")
@pytest.mark.parametrize("how", ["cancel", "release", "preempt", "close"])
async def test_who_was_interrupted_while_it_published_begins_nothing_more(
    owner: Owner, how: Any
) -> None:
    async def words_first() -> None:
        await owner.run.save()
        owner.run.interrupt(how)
        await owner.diarize("slow")

    with pytest.raises(Interrupted):
        await ended(owner.run, words_first())
    assert not owner.slot.started


@pytest.mark.usefixtures("no_looks")
@pytest.mark.parametrize(
    ("script", "failure"),
    [
        *(("raise", "diarization_failed"), ("crash", "worker_crashed")),
        *(("crash-load", "diarizer_missing"), ("refused", "diarization_refused")),
    ],
)
async def test_a_stage_may_go_on_without_the_speakers(
    owner: Owner, store: Store, script: str, failure: str
) -> None:
    async def stages() -> Stage | None:
        with pytest.raises((TaskFailed, WorkerDied)) as caught:
            await owner.diarize(script)
        assert getattr(caught.value, "failure", None) == failure
        await owner.run.save()
        return (await store.read(queries.get, 1)).stage

    assert await ended(owner.run, stages()) is Stage.SAVING
    await owner.slot.leave()
    assert owner.slot.started == (failure == "diarization_refused")  # it is as good as before


@pytest.mark.usefixtures("quick_looks")
async def test_a_stop_waits_no_longer_because_of_a_cancel(owner: Owner, clock: Clock) -> None:
    """A publication that hangs, or that is endlessly slow."""
    clock.step = 0.1

    async def publish() -> None:
        heartbeat = await owner.run.save()
        owner.run.interrupt("cancel")
        owner.run.interrupt("release")
        while True:
            heartbeat.beat()
            await asyncio.sleep(0)

    with pytest.raises(Interrupted):
        await ended(owner.run, publish())


@pytest.mark.usefixtures("quick_looks")
async def test_what_the_daemon_slept_through_ends_no_run(
    owner: Owner, store: Store, clock: Clock
) -> None:
    running = asyncio.create_task(ended(owner.run, owner.transcribe("slow")))
    await soon(lambda job: job.progress > 0, store)
    clock.now += 10 * LEASE
    await running
    assert (await store.read(jobs.work, 1)).finished is not None


async def test_the_stronger_reason_counts(owner: Owner) -> None:
    asked = [owner.run.interrupt(how) for how in ("close", "preempt", "release", "close")]
    assert (asked, owner.run.interruption) == ([True, False, True, False], "release")
    asked = [owner.run.interrupt(how) for how in ("cancel", "release", "cancel")]
    assert (asked, owner.run.interruption) == ([True, False, False], "cancel")


@pytest.mark.usefixtures("quick_looks")
async def test_a_run_that_outlives_its_lease_is_taken_back(owner: Owner, clock: Clock) -> None:
    clock.step = 0.1
    with pytest.raises(TaskFailed) as caught:
        await ended(owner.run, forever())
    assert (caught.value.failure, caught.value.detail) == (
        "inbox_unavailable",
        "no progress for 30 s",
    )


@pytest.mark.usefixtures("quick_looks")
async def test_a_worker_that_outlives_its_lease_is_killed(owner: Owner, clock: Clock) -> None:
    running = asyncio.create_task(ended(owner.run, owner.transcribe("hang-first")))
    await owner.loaded.wait()
    clock.step = 0.1
    with pytest.raises(Exception, match="no progress for 3") as caught:
        await running
    assert getattr(caught.value, "failure", None) == "worker_stalled"
    assert not owner.held_up.is_set()


@pytest.mark.usefixtures("quick_looks")
async def test_a_publication_renews_its_lease_while_it_gets_on(
    owner: Owner, store: Store, clock: Clock
) -> None:
    clock.step = 0.1

    async def publish() -> str:
        heartbeat = await owner.run.save()
        job = await store.read(queries.get, 1)
        assert job.stage is Stage.SAVING
        first, until = job.lease_expires or 0, clock.now + 10 * LEASE
        while clock.now < until:
            heartbeat.beat()
            await asyncio.sleep(0)
        await soon(lambda job: (job.lease_expires or 0) > first + 9 * LEASE, store)
        return "published"

    assert await ended(owner.run, publish()) == "published"
    assert not owner.held_up.is_set()


@pytest.mark.usefixtures("quick_looks")
async def test_who_still_publishes_is_not_taken_back(owner: Owner, clock: Clock) -> None:
    clock.step = 0.1

    async def publish() -> str:
        await owner.run.save()
        async with asyncio.timeout(DEADLINE):
            await owner.held_up.wait()
        return "published"

    assert await ended(owner.run, publish()) == "published"


@pytest.mark.usefixtures("quick_looks")
async def test_a_renewal_that_comes_too_late_does_no_harm(
    owner: Owner, store: Store, clock: Clock
) -> None:
    clock.step = 0.1

    async def publish() -> str:
        heartbeat = await owner.run.save()
        await store.run(jobs.finish, owner.run.lease, language=None, now=2.0)
        done = clock.now
        while clock.now < done + LEASE:
            heartbeat.beat()
            await asyncio.sleep(0)
        return "published"

    assert await ended(owner.run, publish()) == "published"
