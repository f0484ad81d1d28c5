"""How the daemon is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from scriberrd import __version__
from scriberrd.api import views
from scriberrd.library.shelf import Totals
from scriberrd.model import InboxStatus, JobState, WorkerStatus
from scriberrd.queue import jobs, queries
from scriberrd.queue.waiting import Waiting, waiting
from scriberrd.work.preflight import DiarizerStatus

if TYPE_CHECKING:
    import apsw

    from scriberrd.api.rooms import Rooms
    from scriberrd.model import Job, Pause
    from scriberrd.queue.jobs.leaving import Hindrance


class Health(msgspec.Struct, frozen=True):
    """The daemon answers."""

    status: Literal["ok"] = "ok"


class WaitingView(msgspec.Struct, frozen=True, kw_only=True):
    """How many queued jobs wait for what; the others are ready."""

    paused: int
    retry: int
    machine: int
    next_try: str | None


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon at a glance."""

    version: str
    pid: int
    uptime_seconds: float
    state: Literal["running", "stopping"]
    stop_timeout: float
    jobs: dict[JobState, int]
    waiting: WaitingView
    processing: list[views.JobView]
    workers: tuple[WorkerStatus, ...]
    inboxes: tuple[InboxStatus, ...]
    diarizers: tuple[DiarizerStatus, ...]
    outages: list[views.OutageView]
    pauses: list[views.PauseView]
    library: Totals | None
    leaving: int


async def health(rooms: Rooms) -> Health:
    """Whether the daemon answers and its database can be read."""
    await rooms.store.read(queries.stream)
    return Health()


async def status(rooms: Rooms) -> StatusView:
    """The daemon at a glance."""
    live = rooms.status()
    names = [one.name for one in live.inboxes]
    stored = await rooms.store.read(_look, names, rooms.clock.time())
    return StatusView(
        version=__version__,
        pid=os.getpid(),
        uptime_seconds=rooms.clock.monotonic() - rooms.started,
        state="stopping" if rooms.stopping() else "running",
        stop_timeout=float(rooms.live.config.daemon.stop_timeout),
        jobs=stored.counts,
        waiting=_waiting(stored.waiting),
        processing=views.jobs(stored.processing, stored.starts, rooms.clock),
        workers=live.workers,
        inboxes=live.inboxes,
        diarizers=rooms.preflights.findings(),
        outages=[
            *(views.outage(one) for one in live.outages),
            *(views.hindrance(one) for one in stored.hindered),
        ],
        pauses=views.pauses(stored.pauses),
        library=await rooms.library.totals(),
        leaving=stored.leaving,
    )


class _Stored(NamedTuple):
    """What the database knows of it, at one moment."""

    counts: dict[JobState, int]
    waiting: Waiting
    processing: list[Job]
    starts: dict[int, float]
    hindered: list[Hindrance]
    pauses: list[Pause]
    leaving: int


def _look(db: apsw.Connection, inboxes: list[str], now: float) -> _Stored:
    processing = queries.processing(db)
    return _Stored(
        counts=queries.counts(db),
        waiting=waiting(db, now),
        processing=processing,
        starts=queries.starts(db, processing),
        hindered=jobs.hindered(db),
        pauses=jobs.paused(db),
        leaving=jobs.leaving_count(db, inboxes),
    )


def _waiting(found: Waiting) -> WaitingView:
    next_try = None if found.next_try is None else views.instant(found.next_try)
    return WaitingView(
        paused=found.paused, retry=found.retry, machine=found.machine, next_try=next_try
    )
