"""How the daemon is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import msgspec

from scriberrd import __version__
from scriberrd.api import views
from scriberrd.library.shelf import Totals
from scriberrd.model import InboxStatus, JobState, WorkerStatus
from scriberrd.queue import jobs, queries
from scriberrd.queue.waiting import Waiting, waiting
from scriberrd.work.preflight import DiarizerStatus

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms


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
    processing = await rooms.store.read(queries.processing)
    starts = await rooms.store.read(queries.starts, processing)
    return StatusView(
        version=__version__,
        pid=os.getpid(),
        uptime_seconds=rooms.clock.monotonic() - rooms.started,
        state="stopping" if rooms.stopping() else "running",
        jobs=await rooms.store.read(queries.counts),
        waiting=_waiting(await rooms.store.read(waiting, rooms.clock.time())),
        processing=views.jobs(processing, starts, rooms.clock),
        workers=live.workers,
        inboxes=live.inboxes,
        diarizers=rooms.preflights.findings(),
        outages=[
            *(views.outage(one) for one in live.outages),
            *(views.hindrance(one) for one in await rooms.store.read(jobs.hindered)),
        ],
        pauses=views.pauses(await rooms.store.read(jobs.paused)),
        library=await rooms.library.totals(),
        leaving=await rooms.store.read(jobs.leaving_count, [one.name for one in live.inboxes]),
    )


def _waiting(found: Waiting) -> WaitingView:
    next_try = None if found.next_try is None else views.instant(found.next_try)
    return WaitingView(
        paused=found.paused, retry=found.retry, machine=found.machine, next_try=next_try
    )
