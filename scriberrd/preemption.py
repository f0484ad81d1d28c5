"""Which run makes way for an urgent job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.model import Priority, Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scriberrd.model import Job
    from scriberrd.slot import Slot


def to_preempt(slots: Iterable[Slot], urgent: int, paused: Collection[Scope]) -> list[Slot]:
    """The slots whose runs are to make way; none while others are free, or about to be.

    The least urgent goes first, and among equals the one that ran the longest; never an urgent one.

    Args:
        slots: all that may claim something, or may when their run has ended.
        urgent: how many urgent jobs are due.
        paused: what claims nothing, and so can't take them.
    """
    able = [
        slot for slot in slots if slot.in_hours() and Scope("worker", slot.pool.name) not in paused
    ]
    free = sum(slot.job is None or slot.interruption is not None for slot in able)
    busy = [
        (slot, slot.job)
        for slot in able
        if slot.job is not None
        and slot.interruption is None
        and slot.job.priority > Priority.URGENT
    ]
    busy.sort(key=lambda pair: _merit(pair[1]))
    return [slot for slot, _ in busy[: max(0, urgent - free)]]


def _merit(job: Job) -> tuple[int, float]:
    return -job.priority, job.started_at or 0.0
