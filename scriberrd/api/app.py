"""The application: every route, the version on every answer, and the one error handler."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from scriberrd import __version__
from scriberrd.api import events, jobs, pauses, status, transcripts
from scriberrd.api.rooms import ROOMS, STARTED, Rooms
from scriberrd.errors import InvalidRequest, ScriberrdError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

log = logging.getLogger(__name__)

VERSION_HEADER = "Scriberrd-Version"
MAX_JSON = 64 * 1024  # bytes of a request that is read at once; uploads are read as a stream

CODES = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What every error looks like: RFC 9457, with the stable code of the error."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str


def application(rooms: Rooms) -> web.Application:
    """The API of a daemon."""
    app = web.Application(middlewares=[_problems], client_max_size=MAX_JSON)
    app[ROOMS] = rooms
    app[STARTED] = rooms.clock.monotonic()
    app.on_response_prepare.append(_say_version)
    for routes in (
        *(status.routes, pauses.routes),
        *(jobs.routes, transcripts.routes, events.routes),
    ):
        app.add_routes(routes)
    events.end_with(app)
    return app


async def _say_version(_: web.Request, response: web.StreamResponse) -> None:
    response.headers[VERSION_HEADER] = __version__


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:  # aiohttp's own: no such route, no such method ...
        reply = _problem(error.status, CODES.get(error.status, InvalidRequest.code), error.reason)
        if "Allow" in error.headers:
            reply.headers["Allow"] = error.headers["Allow"]
        return reply
    except (ConnectionError, web.RequestPayloadError) as error:
        log.info("a request broke off: %s %s: %s", request.method, request.path, error)
        request.content.feed_eof()  # or aiohttp reads on, and logs the same error as unexpected
        reply = _problem(400, InvalidRequest.code, "the request broke off")
        reply.force_close()
        return reply
    except ScriberrdError as error:
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return _internal(request, error)
        return _problem(error.status, error.code, str(error))
    except Exception as error:  # noqa: BLE001 - the one place where unknown errors end
        return _internal(request, error)


def _internal(request: web.Request, error: Exception) -> web.Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _problem(500, ScriberrdError.code, "an error inside scriberrd: see its journal")


def _problem(status: int, code: str, detail: str) -> web.Response:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail)
    return web.Response(
        body=msgspec.json.encode(problem), status=status, content_type="application/problem+json"
    )
