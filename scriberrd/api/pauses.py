"""Pause and resume: everything, an inbox, a worker pool."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from scriberrd.api import views
from scriberrd.api.params import Params, choose
from scriberrd.model import Scope
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scriberrd.api.rooms import Rooms
    from scriberrd.model import Pause

log = logging.getLogger(__name__)


class Resumed(Params, frozen=True, kw_only=True):
    """What is resumed: without either, everything."""

    inbox: str | None = None
    worker: str | None = None


class Paused(Resumed, frozen=True, kw_only=True):
    """What is paused, and why: without either, everything."""

    reason: str = ""


class Pauses(msgspec.Struct, frozen=True):
    """All that is paused."""

    pauses: list[views.PauseView]


async def pause(rooms: Rooms, given: Paused) -> Pauses:
    """Claim nothing of it any more."""
    scopes = _scopes(given, _known(rooms))
    now = rooms.clock.time()
    pauses = await rooms.store.run(jobs.pause, scopes, reason=given.reason, now=now)
    return _tell("paused", scopes, pauses)


async def resume(rooms: Rooms, given: Resumed) -> Pauses:
    """Claim of it again."""
    before = await rooms.store.read(jobs.paused)
    # What is paused may have left the configuration meanwhile.
    known = _known(rooms) | dict.fromkeys(pause.scope for pause in before)
    scopes = _scopes(given, known)
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


def _tell(verb: str, scopes: Iterable[Scope], pauses: Iterable[Pause]) -> Pauses:
    for scope in scopes:
        log.info("%s: %s", verb, " ".join(filter(None, scope)))
    return Pauses(views.pauses(pauses))
