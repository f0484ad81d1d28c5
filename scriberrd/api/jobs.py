"""Jobs: look, submit, cancel, retry, redo, remove, and another priority."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from scriberrd import logs, overrides
from scriberrd.api import submission, views
from scriberrd.api.params import Params
from scriberrd.errors import InvalidRequest, ShuttingDown
from scriberrd.inbox import ordering
from scriberrd.library.purging import purge
from scriberrd.logs import Event
from scriberrd.model import JobState, Priority, RedoStage
from scriberrd.queue import jobs, queries
from scriberrd.settings import PriorityName

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms
    from scriberrd.model import Job

log = logging.getLogger(__name__)


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


async def find(rooms: Rooms, wanted: Wanted) -> Page:
    """Jobs, newest first."""
    found = await _find(rooms, wanted)
    page, more = found[: wanted.limit], len(found) > wanted.limit
    starts = await rooms.store.search(queries.starts, page)
    shown = views.jobs(page, starts, rooms.clock)
    return Page(jobs=shown, next=page[-1].id if more else None)


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


async def submit(rooms: Rooms, request: web.Request) -> web.Response | views.JobView:
    """Queue a recording: one that lies in an inbox, or one that comes with the request."""
    if rooms.stopping():
        raise ShuttingDown(submission.STOPPING)
    job, new = await submission.submit(rooms, request)
    view = await _view(rooms, job)
    if not new:
        return view
    headers = {"Location": f"/v1/jobs/{job.id}"}
    return web.json_bytes_response(view, dumps=msgspec.json.encode, status=202, headers=headers)


class Executions(msgspec.Struct, frozen=True):
    """All runs of a job."""

    executions: list[views.ExecutionView]


async def executions(rooms: Rooms, id_: int) -> Executions:
    """The runs of a job, oldest first."""
    runs = await rooms.store.read(queries.executions, id_)
    return Executions([views.execution(run) for run in runs])


async def cancel(rooms: Rooms, id_: int) -> views.JobView:
    """End a job, or ask its worker to."""
    job = await rooms.store.run(jobs.cancel, id_, rooms.clock.time())
    with logs.about(**job.subject):
        if job.state is JobState.CANCELED:
            log.info("canceled", extra={"event": Event.JOB_CANCELED})
        else:
            log.info("is to be canceled")
    return await _view(rooms, job)


class Prioritized(Params, frozen=True, kw_only=True):
    """When a job is claimed."""

    priority: PriorityName


async def prioritize(rooms: Rooms, id_: int, wanted: Prioritized) -> views.JobView:
    """Have a queued job claimed before or after others."""
    priority = Priority[wanted.priority.upper()]
    job = await rooms.store.run(jobs.prioritize, id_, priority, rooms.clock.time())
    with logs.about(**job.subject):
        log.info("has priority %s now", wanted.priority)
    return await _view(rooms, job)


class Again(Params, frozen=True, kw_only=True):
    """What is set over the profile of a job."""

    set: tuple[str, ...] = ()


async def retry(rooms: Rooms, id_: int, again: Again) -> views.JobView:
    """Queue a failed or canceled job again, or let a waiting one go at once."""
    job = await rooms.intake.retry(id_, given=overrides.read(again.set))
    with logs.about(**job.subject):
        log.info("queued again: it was retried", extra={"event": Event.JOB_QUEUED})
    rooms.try_now()
    return await _view(rooms, job)


class Anew(Again, frozen=True, kw_only=True):
    """How a job is redone."""

    profile: str | None = None
    stage: RedoStage | None = None


async def redo(rooms: Rooms, id_: int, anew: Anew) -> views.JobView:
    """Queue an ended job anew, or render its transcript again at once."""
    given = overrides.read(anew.set)
    if anew.stage == "merge":
        if anew.profile is not None:
            raise InvalidRequest("stage: merge takes no profile")
        return await _view(rooms, await rooms.render(id_, given))
    if anew.stage is not None:
        job = await rooms.store.read(queries.get, id_)
        # What is wrong with the order is said first.
        ordering.redone(rooms.live.config, job, anew.profile, given, anew.stage)
        await rooms.library.require_words(rooms.store, job)
    job = await rooms.intake.redo(id_, profile=anew.profile, given=given, stage=anew.stage)
    return await _view(rooms, job)


class Removal(Params, frozen=True, kw_only=True):
    """What goes with a job."""

    purge: bool = False


async def remove(rooms: Rooms, id_: int, removal: Removal) -> views.JobView:
    """Forget an ended job, and, to purge it, all that was made of its recording."""
    now = rooms.clock.time()
    await rooms.count()
    if removal.purge:
        job = await purge(rooms.store, rooms.publisher, rooms.library, rooms.live.config, id_, now)
    else:
        job = await rooms.store.run(jobs.remove, id_, now)
    with logs.about(**job.subject):
        done = "removed, with all that was made of its recording" if removal.purge else "removed"
        log.info("%s", done, extra={"event": Event.JOB_REMOVED})
    return await _view(rooms, job)


async def _view(rooms: Rooms, job: Job) -> views.JobView:
    starts = await rooms.store.read(queries.starts, [job])
    return views.job(job, starts, rooms.clock)
