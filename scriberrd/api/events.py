"""What happens, as it happens: server-sent events that a client can resume."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from scriberrd import listing
from scriberrd.api import views
from scriberrd.api.connections import PARTS, room
from scriberrd.api.params import LARGEST, Params, parse
from scriberrd.api.rooms import ROOMS
from scriberrd.errors import StoreError, TooManyConnections

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms
    from scriberrd.model import Event

log = logging.getLogger(__name__)
routes = web.RouteTableDef()

HEARTBEAT = 15.0  # seconds
BATCH = 100  # events that are in memory at a time, for each client
ENDED = web.AppKey("ended", asyncio.Event)
PLACES = web.AppKey("places", asyncio.Semaphore)  # for those who follow

Id = Annotated[int, Meta(ge=0, le=LARGEST)]


class Wanted(Params, frozen=True, kw_only=True):
    """Which events are told."""

    after: Id | None = None
    job: Id | None = None


def end_with(app: web.Application) -> None:
    """End all streams when the application shuts down."""
    app[ENDED] = asyncio.Event()
    app[PLACES] = asyncio.Semaphore(room() // PARTS)

    async def end(app: web.Application) -> None:
        app[ENDED].set()
        app[ROOMS].store.bell.ring()

    app.on_shutdown.append(end)


@routes.get("/v1/events", allow_head=False)
async def follow(request: web.Request) -> web.StreamResponse:
    """Events from the one after `after` on, or from now on; it does not end by itself."""
    places = request.app[PLACES]
    if places.locked():
        raise TooManyConnections("too many clients follow the events")
    async with places:
        return await _follow(request)


async def _follow(request: web.Request) -> web.StreamResponse:
    rooms = request.app[ROOMS]
    resume = request.headers.get("Last-Event-ID")
    wanted = parse(({"after": resume} if resume else {}) | dict(request.query), Wanted)
    newest = await rooms.store.read(listing.newest_event)
    # A larger one is of an older database.
    after = newest if wanted.after is None else min(wanted.after, newest)

    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        await _tell(rooms, response, request.app[ENDED], after, wanted.job)
    except ConnectionError:
        log.debug("a client stopped following the events")
    except StoreError as error:  # too late for a status: the client resumes where this ends
        log.warning("a stream of events ended early: %s", error)
    return response


async def _tell(
    rooms: Rooms, response: web.StreamResponse, ended: asyncio.Event, after: int, job: int | None
) -> None:
    monotonic = asyncio.get_running_loop().time
    told = float("-inf")  # the first heartbeat comes at once: the client knows that it is on
    while not ended.is_set():
        seen = rooms.store.bell.rings
        batch = await rooms.store.read(listing.events, after, BATCH, job)
        if batch:
            # Waits while the client is slow, so that nothing piles up here.
            await response.write(b"".join(_encode(event) for event in batch))
            after = batch[-1].id
        elif monotonic() >= told + HEARTBEAT:
            await response.write(b":\n\n")
        else:
            await rooms.store.bell.wait(seen, told + HEARTBEAT - monotonic())
            continue
        told = monotonic()


def _encode(event: Event) -> bytes:
    data = msgspec.json.encode(views.event(event))
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.type.encode(), data)
