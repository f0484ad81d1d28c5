"""A job as it is, or as soon as it is another than the client knows: so nobody has to poll."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import ETag, web
from msgspec import Meta
from msgspec.structs import replace

from scriberrd.api import staying, views
from scriberrd.api.params import Params, job_id, parse_query
from scriberrd.queue import queries

if TYPE_CHECKING:
    import apsw

    from scriberrd.api.rooms import Rooms
    from scriberrd.model import Clock

LONGEST = 60  # seconds that a client may wait
LOOK = 15.0  # seconds from one look to the next whether a client is still there


class Patience(Params, frozen=True, kw_only=True):
    """How long the answer may take."""

    wait: Annotated[int, Meta(ge=0, le=LONGEST)] = 0


async def get(rooms: Rooms, request: web.Request) -> web.Response:
    """A job; 304 if it is still as the client knows it."""
    id_, wait = job_id(request), parse_query(request, Patience).wait
    known = {etag.value for etag in request.if_none_match or ()}
    seen, (view, tag) = rooms.store.bell.rings, await _look(rooms, id_)
    if wait and (not known or tag in known):
        async with staying.place(request) as ended:
            until = asyncio.get_running_loop().time() + wait
            view, tag = await _changed(rooms, request, ended, id_, tag, seen, until)
    if known & {tag, "*"}:
        return web.Response(status=304, headers={"ETag": f'W/"{tag}"'})
    response = web.Response(body=msgspec.json.encode(view), content_type="application/json")
    response.etag = ETag(tag, is_weak=True)
    return response


async def _changed(
    rooms: Rooms,
    request: web.Request,
    ended: asyncio.Event,
    id_: int,
    known: str,
    seen: int,
    until: float,
) -> tuple[views.JobView, str]:
    monotonic = asyncio.get_running_loop().time
    while True:
        if (left := until - monotonic()) > 0:
            await rooms.store.bell.wait(seen, min(left, LOOK))
        seen = rooms.store.bell.rings
        view, tag = await _look(rooms, id_)
        gone = request.transport is None or request.transport.is_closing()
        if tag != known or left <= 0 or gone or ended.is_set():
            return view, tag


async def _look(rooms: Rooms, id_: int) -> tuple[views.JobView, str]:
    view = await rooms.store.read(_view, id_, rooms.clock)
    return view, _tag(view)


def _view(db: apsw.Connection, id_: int, clock: Clock) -> views.JobView:
    job = queries.get(db, id_)
    return views.job(job, queries.starts(db, [job]), clock)


def _tag(view: views.JobView) -> str:
    """What tells one state of a job from another; the clock alone makes no other one of it."""
    progress = replace(view.progress, eta_seconds=None, real_time_factor=None)
    lasting = replace(view, progress=progress, lease_expires_at=None)
    return hashlib.blake2b(msgspec.json.encode(lasting), digest_size=8).hexdigest()
