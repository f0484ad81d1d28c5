"""The application: every route, the version on every answer, and the one error handler."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from scriberrd import __version__
from scriberrd.api import staying
from scriberrd.api.endpoints import routes
from scriberrd.api.metrics import METRICS
from scriberrd.api.problems import VERSION_HEADER, encoded
from scriberrd.errors import InvalidRequest, ScriberrdError, TooSlow

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from scriberrd.api.metrics import Metrics
    from scriberrd.api.rooms import Rooms

log = logging.getLogger(__name__)

MAX_JSON = 64 * 1024  # bytes of a request that is read at once; uploads are read as a stream

SAID = {404: "there is no such route", 405: "this route has no such method"}
CODES = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}


def application(rooms: Rooms, metrics: Metrics) -> web.Application:
    """The API of a daemon."""
    app = web.Application(middlewares=[_problems], client_max_size=MAX_JSON)
    app[METRICS], rooms.count = metrics, metrics.count
    app.on_response_prepare.append(_say_version)
    app.add_routes(routes(rooms))
    staying.end_with(app, rooms)
    return app


def metrics_alone(metrics: Metrics) -> web.Application:
    """Figures, and nothing else of the API."""
    app = web.Application(middlewares=[_problems])
    app.router.add_get("/metrics", metrics.answer)
    return app


async def _say_version(_: web.Request, response: web.StreamResponse) -> None:
    response.headers[VERSION_HEADER] = __version__


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:  # aiohttp's own: no such route, no such method ...
        code = CODES.get(error.status, InvalidRequest.code)
        reply = _problem(error.status, code, SAID.get(error.status, error.reason))
        if "Allow" in error.headers:
            reply.headers["Allow"] = error.headers["Allow"]
        return reply
    except (ConnectionError, web.RequestPayloadError, TooSlow) as error:
        return _broken_off(request, error)
    except ScriberrdError as error:
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return _internal(request, error)
        return _problem(error.status, error.code, str(error))
    except Exception as error:  # noqa: BLE001 - the one place where unknown errors end
        return _internal(request, error)


def _broken_off(request: web.Request, error: Exception) -> web.Response:
    log.info("a request was interrupted: %s %s: %s", request.method, request.path, error)
    request.content.feed_eof()  # or aiohttp reads on, and logs the same error as unexpected
    if isinstance(error, TooSlow):
        reply = _problem(error.status, error.code, str(error))
    else:
        reply = _problem(400, InvalidRequest.code, "the request was interrupted")
    reply.force_close()
    return reply


def _internal(request: web.Request, error: Exception) -> web.Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _problem(500, ScriberrdError.code, "an error inside scriberrd: see the journal")


def _problem(status: int, code: str, detail: str) -> web.Response:
    return web.Response(
        body=encoded(status, code, detail),
        status=status,
        content_type="application/problem+json",
    )
