"""Who makes way for an urgent job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scriberrd.config import Config, Daemon, Retry, Worker
from scriberrd.hours import Hours
from scriberrd.model import Identity, Scope, Source
from scriberrd.queue import jobs
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.work.preemption import to_preempt
from scriberrd.work.run import Run
from scriberrd.work.slot import Slot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scriberrd.model import Job


class Clock:
    def time(self) -> float:
        return 1e9

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path / "queue.db")
    yield opened
    opened.close()


async def busy(store: Store, *runs: tuple[str, str, float] | None) -> list[Slot]:
    """A slot for each run: the name of its pool, the priority of its job, when it began."""
    slots = []
    for number, run in enumerate(runs):
        slots.append(Slot(f"s{number}", Worker(name=run[0] if run else "cpu"), Clock()))
        if run is not None:
            job = await running(store, f"{number}", run[1], run[2])
            slots[-1].run = begun(job, slots[-1], store)
    return slots


def begun(job: Job, slot: Slot, store: Store) -> Run:
    config = Config(
        file=Path(), daemon=Daemon(), inboxes=(), profiles={}, workers=(slot.pool,), retry=Retry()
    )
    return Run(
        job,
        slot.pool,
        config,
        store=store,
        clock=Clock(),
        worker=slot.worker,
        loaded=lambda: None,
        held_up=lambda: None,
    )


async def running(store: Store, name: str, priority: Any, since: float) -> Any:
    source = Source("inbox", name.encode(), Identity(1, 2, 3, 4, 5), name)
    settings = Settings(priority=priority)
    await store.run(jobs.submit, source, profile="default", settings=settings, now=0.0)
    return await store.run(jobs.claim, "w", now=since, expires=1.0, longest=1.0)


def names(slots: list[Slot]) -> list[str]:
    return [slot.name for slot in slots]


async def test_the_least_urgent_then_the_longest_makes_way(store: Store) -> None:
    slots = await busy(
        store, ("cpu", "high", 1), ("cpu", "low", 3), ("cpu", "low", 2), ("cpu", "urgent", 1)
    )
    assert names(to_preempt(slots, 0, [])) == []
    assert names(to_preempt(slots, 1, [])) == ["s2"]
    assert names(to_preempt(slots, 2, [])) == ["s2", "s1"]
    assert names(to_preempt(slots, 9, [])) == ["s2", "s1", "s0"]  # never an urgent one


async def test_nobody_makes_way_where_a_slot_is_free(store: Store) -> None:
    slots = await busy(store, ("cpu", "low", 1), None)
    assert names(to_preempt(slots, 1, [])) == []
    assert names(to_preempt(slots, 2, [])) == ["s0"]


@pytest.mark.parametrize("interruption", ["cancel", "release", "preempt", "close"])
async def test_one_that_is_about_to_be_free_is_enough(store: Store, interruption: Any) -> None:
    slots = await busy(store, ("cpu", "low", 1), ("cpu", "low", 2))
    assert slots[1].run is not None
    slots[1].run.interrupt(interruption)
    assert names(to_preempt(slots, 1, [])) == []


async def test_for_one_that_runs_alone_a_whole_pool_makes_way(store: Store) -> None:
    slots = await busy(
        store,
        *(("gpu", "low", 1), ("gpu", "urgent", 1)),
        *(("cpu", "low", 1), ("cpu", "low", 2), ("cpu", "high", 3), None),
        *[("big", "low", 1)] * 4,
    )
    assert names(to_preempt(slots, 1, [], alone=True)) == ["s2", "s3", "s4"]
    assert slots[3].run is not None
    slots[3].run.interrupt("preempt")
    assert names(to_preempt(slots, 1, [], alone=True)) == ["s2", "s4"]
    assert names(to_preempt(slots[:2], 1, [], alone=True)) == []  # an urgent one does not
    assert names(to_preempt(slots[1:], 0, [], alone=True)) == []
    slots[0].run = slots[1].run = None
    assert names(to_preempt(slots, 1, [], alone=True)) == []


async def test_who_could_not_take_the_job_neither_makes_way_nor_counts(store: Store) -> None:
    slots = await busy(store, ("gpu", "low", 1), ("cpu", "normal", 2), None)
    slots[2].pool = Worker(name="night", hours=Hours.read("00:00-00:01"))
    assert names(to_preempt(slots, 1, [Scope("worker", "gpu")])) == ["s1"]
