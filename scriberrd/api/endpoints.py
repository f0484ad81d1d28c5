"""Every endpoint of the API, in one table: the router and the documentation's test read it."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from scriberrd.api import (
    events,
    inboxes,
    jobs,
    metrics,
    models,
    openapi,
    pauses,
    purging,
    reading,
    reloading,
    speakers,
    stats,
    status,
    story,
    submission,
    transcripts,
)
from scriberrd.api.endpoint import Endpoint
from scriberrd.api.params import job_id, parse_body, parse_query
from scriberrd.api.views import EventView, JobView
from scriberrd.errors import (
    IllegalMove,
    ModelInUse,
    ModelUnknown,
    PathOutsideInbox,
    PullFailed,
    PurgeFailed,
    ReloadFailed,
    SourceChanged,
    SpeakersNotTold,
    TranscriptNotReady,
    UploadFailed,
    UploadTooLarge,
    WordsNotKept,
)
from scriberrd.inbox.explain import Explanation
from scriberrd.output.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.api.rooms import Rooms


async def _described(_: Rooms) -> web.Response:
    return web.json_bytes_response(openapi.document(ENDPOINTS), dumps=msgspec.json.encode)


REMADE = (IllegalMove, WordsNotKept, SpeakersNotTold, TranscriptNotReady)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/v1/health", "whether the daemon is well", status.health, status.Health),
    Endpoint("GET", "/v1/status", "the daemon at a glance", status.status, status.StatusView),
    Endpoint(
        *("POST", "/v1/reload", "read the configuration again"),
        *(reloading.reload, reloading.Reloaded),
        errors=(ReloadFailed,),
    ),
    Endpoint(
        "POST", "/v1/pause", "pause claiming", pauses.pause, pauses.Pauses, body=pauses.Paused
    ),
    Endpoint(
        "POST", "/v1/resume", "resume claiming", pauses.resume, pauses.Pauses, body=pauses.Resumed
    ),
    Endpoint(
        *("GET", "/v1/inboxes", "the inboxes, and what lies in them"),
        *(inboxes.find, inboxes.Inboxes),
    ),
    Endpoint(
        *("POST", "/v1/inboxes/rescan", "scan inboxes now", inboxes.rescan, inboxes.Inboxes),
        body=inboxes.Rescanned,
    ),
    Endpoint(
        *("GET", "/v1/explain", "what becomes of a file, and why"),
        *(inboxes.explained, Explanation),
        parameters=inboxes.Asked,
    ),
    Endpoint("GET", "/v1/jobs", "list jobs", jobs.find, jobs.Page, parameters=jobs.Wanted),
    Endpoint(
        *("POST", "/v1/jobs", "submit a recording", jobs.submit, JobView),
        parameters=submission.ByName,
        body=submission.ByPath,
        streams=True,
        errors=(PathOutsideInbox, SourceChanged, UploadTooLarge, UploadFailed),
        statuses=(HTTPStatus.OK, HTTPStatus.ACCEPTED),
    ),
    Endpoint(
        *("GET", "/v1/jobs/{id}", "a job", reading.get, JobView),
        parameters=reading.Patience,
        streams=True,
        statuses=(HTTPStatus.OK, HTTPStatus.NOT_MODIFIED),
        asks=("If-None-Match",),
    ),
    Endpoint(
        *("GET", "/v1/jobs/{id}/executions", "the runs of a job"),
        *(jobs.executions, jobs.Executions),
    ),
    Endpoint(
        *("GET", "/v1/jobs/{id}/logs", "the story of a job", story.logs, None),
        media=("text/plain",),
    ),
    Endpoint(
        *("GET", "/v1/jobs/{id}/transcript", "the transcript of a job", transcripts.get, None),
        parameters=transcripts.Wanted,
        streams=True,
        errors=(TranscriptNotReady,),
        media=tuple(dict.fromkeys(one.media_type for one in FORMATS.values())),
    ),
    Endpoint(
        *("POST", "/v1/jobs/{id}/speakers", "name a speaker", speakers.name, JobView),
        body=speakers.Named,
        errors=REMADE,
    ),
    Endpoint(
        *("POST", "/v1/jobs/{id}/cancel", "cancel a job", jobs.cancel, JobView),
        errors=(IllegalMove,),
    ),
    Endpoint(
        *("POST", "/v1/jobs/{id}/priority", "claim a job earlier or later"),
        *(jobs.prioritize, JobView),
        body=jobs.Prioritized,
        errors=(IllegalMove,),
    ),
    Endpoint(
        *("POST", "/v1/jobs/{id}/retry", "queue a job again", jobs.retry, JobView),
        parameters=jobs.Again,
        errors=(IllegalMove, SourceChanged),
    ),
    Endpoint(
        "POST",
        "/v1/jobs/{id}/redo",
        "transcribe a job again",
        jobs.redo,
        JobView,
        parameters=jobs.Anew,
        errors=(SourceChanged, *REMADE),
    ),
    Endpoint(
        *("DELETE", "/v1/jobs/{id}", "remove a job", jobs.remove, JobView),
        parameters=jobs.Removal,
        errors=(IllegalMove, PurgeFailed),
    ),
    Endpoint("GET", "/v1/models", "list models", models.find, models.Models),
    Endpoint(
        *("POST", "/v1/models", "pull a model", models.pull, models.PullView),
        body=models.Wanted,
        errors=(ModelUnknown, PullFailed),
    ),
    Endpoint(
        *("DELETE", "/v1/models", "remove a model", models.remove, models.Models),
        parameters=models.Named,
        errors=(ModelUnknown, ModelInUse, PurgeFailed),
    ),
    Endpoint(
        *("POST", "/v1/models/verify", "read a model's files", models.verify, models.Verified),
        body=models.Named,
        errors=(ModelUnknown,),
    ),
    Endpoint(
        *("POST", "/v1/purge", "delete what is too old now", purging.purge, purging.Purged),
        body=purging.Wanted,
    ),
    Endpoint(
        *("GET", "/v1/stats", "what was done, and how fast", stats.stats, stats.Stats),
        parameters=stats.Wanted,
    ),
    Endpoint(
        *("GET", "/metrics", "figures for Prometheus", metrics.metrics, None),
        streams=True,
        media=("text/plain",),
    ),
    Endpoint(
        *("GET", "/v1/events", "what happens, as it happens", events.follow, EventView),
        parameters=events.Wanted,
        streams=True,
        head=False,
        media=("text/event-stream",),
        asks=("Last-Event-ID",),
    ),
    Endpoint(
        *("GET", "/v1/openapi.json", "what this page says, for programs"),
        *(_described, None),
    ),
)


def routes(rooms: Rooms) -> Iterator[web.RouteDef]:
    """The routes of all endpoints, for the router."""
    for endpoint in ENDPOINTS:
        options = {} if endpoint.head else {"allow_head": False}
        handler = partial(_answer, rooms, endpoint)
        yield web.route(endpoint.method, endpoint.path, handler, **options)


async def _answer(rooms: Rooms, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
    given = [request] if endpoint.streams else await _given(endpoint, request)
    value = await endpoint.handler(rooms, *given)
    if isinstance(value, web.StreamResponse):
        return value
    return web.json_bytes_response(value, dumps=msgspec.json.encode)


async def _given(endpoint: Endpoint, request: web.Request) -> list[Any]:
    given: list[Any] = []
    if "id" in request.match_info:
        given.append(job_id(request))
    if endpoint.parameters is not None:
        given.append(parse_query(request, endpoint.parameters))
    if endpoint.body is not None:
        given.append(parse_body(await request.read(), endpoint.body))
    return given
