"""Jobs: look, submit, cancel, retry, redo, remove."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from scriberrd.api import submission, views
from scriberrd.api.params import Params, job_id, parse
from scriberrd.api.rooms import ROOMS, Rooms, answer
from scriberrd.errors import ShuttingDown
from scriberrd.model import JobState, display
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from scriberrd.model import Job

log = logging.getLogger(__name__)

routes = web.RouteTableDef()


class Wanted(Params, frozen=True, kw_only=True):
    """Which jobs are listed."""

    state: tuple[JobState, ...] = ()
    inbox: str | None = None
    text: str | None = None
    before: Annotated[int, Meta(ge=1, le=queries.LARGEST)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs, and the `before` of the next page."""

    jobs: list[views.JobView]
    next: int | None


@routes.get("/v1/jobs")
async def find(request: web.Request) -> web.Response:
    """Jobs, newest first."""
    rooms = request.app[ROOMS]
    states = {"state": request.query.getall("state")} if "state" in request.query else {}
    wanted = parse({**request.query, **states}, Wanted)
    found = await _find(rooms, wanted)
    page, more = found[: wanted.limit], len(found) > wanted.limit
    starts = await rooms.store.search(queries.starts, page)
    shown = views.jobs(page, starts, rooms.clock)
    return answer(Page(jobs=shown, next=page[-1].id if more else None))


async def _find(rooms: Rooms, wanted: Wanted) -> list[Job]:
    """One job more than are wanted, if there are so many."""
    limit, before = wanted.limit + 1, wanted.before
    states, inbox, text = wanted.state, wanted.inbox, wanted.text
    if not text:
        return await rooms.store.search(
            queries.find, states=states, inbox=inbox, before=before, limit=limit
        )
    found: list[Job] = []
    while True:
        left = limit - len(found)
        some, before = await rooms.store.search(
            queries.matching, text, states=states, inbox=inbox, before=before, limit=left
        )
        found += some
        if before is None or len(found) == limit:
            return found


@routes.post("/v1/jobs")
async def submit(request: web.Request) -> web.Response:
    """Queue a recording: one that lies in an inbox, or one that comes with the request."""
    rooms = request.app[ROOMS]
    if rooms.stopping():
        raise ShuttingDown(submission.STOPPING)
    job, new = await submission.submit(rooms, request)
    view = await _view(rooms, job)
    return answer(view, status=202, location=f"/v1/jobs/{job.id}") if new else answer(view)


@routes.get("/v1/jobs/{id}")
async def get(request: web.Request) -> web.Response:
    """A job."""
    rooms = request.app[ROOMS]
    return answer(await _view(rooms, await rooms.store.read(queries.get, job_id(request))))


@routes.get("/v1/jobs/{id}/executions")
async def executions(request: web.Request) -> web.Response:
    """The runs of a job, oldest first."""
    runs = await request.app[ROOMS].store.read(queries.executions, job_id(request))
    return answer({"executions": [views.execution(run) for run in runs]})


@routes.post("/v1/jobs/{id}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """End a job, or ask its worker to."""
    rooms = request.app[ROOMS]
    job = await rooms.store.run(jobs.cancel, job_id(request), rooms.clock.time())
    done = "is canceled" if job.state is JobState.CANCELED else "is to be canceled"
    log.info("job %d %s: %s/%s", job.id, done, job.inbox, display(job.path))
    return answer(await _view(rooms, job))


@routes.post("/v1/jobs/{id}/retry")
async def retry(request: web.Request) -> web.Response:
    """Queue a failed or canceled job again, or let a waiting one go at once."""
    rooms = request.app[ROOMS]
    job = await rooms.intake.retry(job_id(request))
    log.info("job %d is retried: %s/%s", job.id, job.inbox, display(job.path))
    rooms.try_now()
    return answer(await _view(rooms, job))


class Anew(Params, frozen=True, kw_only=True):
    """How a job is redone."""

    profile: str | None = None


@routes.post("/v1/jobs/{id}/redo")
async def redo(request: web.Request) -> web.Response:
    """Queue an ended job anew."""
    rooms = request.app[ROOMS]
    wanted = parse(request.query, Anew)
    job = await rooms.intake.redo(job_id(request), profile=wanted.profile)
    return answer(await _view(rooms, job))


@routes.delete("/v1/jobs/{id}")
async def remove(request: web.Request) -> web.Response:
    """Forget an ended job."""
    rooms = request.app[ROOMS]
    job = await rooms.store.run(jobs.remove, job_id(request), rooms.clock.time())
    log.info("job %d is removed: %s/%s", job.id, job.inbox, display(job.path))
    return answer(await _view(rooms, job))


async def _view(rooms: Rooms, job: Job) -> views.JobView:
    starts = await rooms.store.read(queries.starts, [job])
    return views.job(job, starts, rooms.clock)
