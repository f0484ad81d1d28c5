"""How the daemon is."""

from __future__ import annotations

import os
from typing import Literal

import msgspec
from aiohttp import web

from scriberrd import __version__
from scriberrd.api import views
from scriberrd.api.rooms import ROOMS, STARTED, answer
from scriberrd.model import InboxStatus, JobState, WorkerStatus
from scriberrd.queue import jobs, queries

routes = web.RouteTableDef()


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon at a glance."""

    version: str
    pid: int
    uptime_seconds: float
    state: Literal["running", "stopping"]
    jobs: dict[JobState, int]
    processing: list[views.JobView]
    workers: tuple[WorkerStatus, ...]
    inboxes: tuple[InboxStatus, ...]
    outages: list[views.OutageView]
    pauses: list[views.PauseView]


@routes.get("/v1/health")
async def health(request: web.Request) -> web.Response:
    """Whether the daemon answers and its database can be read."""
    await request.app[ROOMS].store.read(queries.stream)
    return answer({"status": "ok"})


@routes.get("/v1/status")
async def status(request: web.Request) -> web.Response:
    """The daemon at a glance."""
    rooms = request.app[ROOMS]
    live = rooms.status()
    processing = await rooms.store.read(queries.processing)
    starts = await rooms.store.read(queries.starts, processing)
    return answer(
        StatusView(
            version=__version__,
            pid=os.getpid(),
            uptime_seconds=rooms.clock.monotonic() - request.app[STARTED],
            state="stopping" if rooms.stopping() else "running",
            jobs=await rooms.store.read(queries.counts),
            processing=views.jobs(processing, starts, rooms.clock),
            workers=live.workers,
            inboxes=live.inboxes,
            outages=[views.outage(one) for one in live.outages],
            pauses=views.pauses(await rooms.store.read(jobs.paused)),
        )
    )
