"""Pause and resume: everything, an inbox, a worker pool."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web

from scriberrd.api import views
from scriberrd.api.params import Params, choose, parse_body
from scriberrd.api.rooms import ROOMS, Rooms, answer
from scriberrd.model import Scope
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scriberrd.model import Pause

log = logging.getLogger(__name__)
routes = web.RouteTableDef()


class Resumed(Params, frozen=True, kw_only=True):
    """What is resumed: without either, everything."""

    inbox: str | None = None
    worker: str | None = None


class Paused(Resumed, frozen=True, kw_only=True):
    """What is paused, and why: without either, everything."""

    reason: str = ""


@routes.post("/v1/pause")
async def pause(request: web.Request) -> web.Response:
    """Claim nothing of it any more."""
    rooms = request.app[ROOMS]
    given = parse_body(await request.read() or b"{}", Paused)
    scopes = _scopes(given, _known(rooms))
    now = rooms.clock.time()
    pauses = await rooms.store.run(jobs.pause, scopes, reason=given.reason, now=now)
    return _tell("paused", scopes, pauses)


@routes.post("/v1/resume")
async def resume(request: web.Request) -> web.Response:
    """Claim of it again."""
    rooms = request.app[ROOMS]
    before = await rooms.store.read(jobs.paused)
    # What is paused may have left the configuration meanwhile.
    known = _known(rooms) | dict.fromkeys(pause.scope for pause in before)
    scopes = _scopes(parse_body(await request.read() or b"{}", Resumed), known)
    pauses = await rooms.store.run(jobs.resume, scopes, now=rooms.clock.time())
    left = [pause.scope for pause in pauses]
    return _tell("resumed", [one.scope for one in before if one.scope not in left], pauses)


def _known(rooms: Rooms) -> dict[Scope, None]:
    inboxes = [Scope("inbox", inbox.name) for inbox in rooms.live.config.inboxes]
    return dict.fromkeys(
        inboxes + [Scope("worker", pool.name) for pool in rooms.live.config.workers]
    )


def _scopes(given: Resumed, known: Collection[Scope]) -> list[Scope]:
    scopes = []
    for kind, name in (("inbox", given.inbox), ("worker", given.worker)):
        if name is not None:
            choose(kind, name, [scope.name for scope in known if scope.kind == kind])
            scopes += [scope for scope in known if scope == (kind, name)]
    return scopes or [Scope("everything")]


def _tell(verb: str, scopes: Iterable[Scope], pauses: Iterable[Pause]) -> web.Response:
    for scope in scopes:
        log.info("%s: %s", verb, " ".join(filter(None, scope)))
    return answer({"pauses": views.pauses(pauses)})
