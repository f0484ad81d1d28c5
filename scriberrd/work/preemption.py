"""Which run makes way for an urgent job."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from scriberrd.model import Priority, Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scriberrd.config import Worker
    from scriberrd.model import Job
    from scriberrd.work.slot import Slot


def to_preempt(
    slots: Iterable[Slot], urgent: int, paused: Collection[Scope], *, alone: bool = False
) -> list[Slot]:
    """The slots whose runs are to make way; none while others are free, or about to be.

    The least urgent goes first, and among equals the one that ran the longest; never an urgent one,
    nor one that would have to begin anew.

    Args:
        slots: all that may claim something, or may when their run has ended.
        urgent: how many urgent jobs are due.
        paused: what claims nothing, and so can't take them.
        alone: the first of them must have a pool for itself.
    """
    able = [
        slot for slot in slots if slot.in_hours() and Scope("worker", slot.pool.name) not in paused
    ]
    if urgent and alone:
        return _in_the_way(able)
    staying = [
        (slot, slot.run.job)
        for slot in able
        if slot.run is not None and slot.run.interruption is None
    ]
    free = len(able) - len(staying)
    yielding = [
        (slot, job) for slot, job in staying if job.priority > Priority.URGENT and not _unit(slot)
    ]
    yielding.sort(key=lambda pair: _merit(pair[1]))
    return [slot for slot, _ in yielding[: max(0, urgent - free)]]


def _in_the_way(able: Iterable[Slot]) -> list[Slot]:
    """The runs of the pool that is the soonest to be emptied."""
    pools: defaultdict[Worker, list[Slot]] = defaultdict(list)
    for slot in able:
        running = pools[slot.pool]  # a pool where nothing runs counts, too
        if slot.run is not None and slot.run.interruption is None:
            running.append(slot)
    willing = [
        runs
        for runs in pools.values()
        if all(slot.job is None or slot.job.priority > Priority.URGENT for slot in runs)
        and not any(map(_unit, runs))
    ]
    return min(willing, key=len, default=[])


def _unit(slot: Slot) -> bool:
    return slot.run is not None and slot.run.unit


def _merit(job: Job) -> tuple[int, float]:
    return -job.priority, job.started_at or 0.0
