"""What happens, as it happens: server-sent events that a client can resume."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from scriberrd.api import staying, views
from scriberrd.api.params import Params, parse_query
from scriberrd.errors import StoreError
from scriberrd.model import Event
from scriberrd.queue import queries

if TYPE_CHECKING:
    import apsw

    from scriberrd.api.rooms import Rooms
    from scriberrd.queue.queries import Stream

log = logging.getLogger(__name__)

HEARTBEAT = 15.0  # seconds
PATIENCE = 45.0  # seconds that a client gets to take a batch; after 60, its connection is closed
BATCH = 100  # events that are in memory at a time, for each client

Id = Annotated[int, Meta(ge=0, le=queries.LARGEST)]
# An event as a client keeps it in mind: the database that it is of, if that is said, and its id.
Place = Annotated[
    str,
    Meta(pattern=r"^([0-9a-f]{8}-)?[0-9]{1,18}$", description="the cursor or the id of an event"),
]


class Wanted(Params, frozen=True, kw_only=True):
    """Which events are told."""

    after: Place | None = None
    job: Id | None = None


async def follow(rooms: Rooms, request: web.Request) -> web.StreamResponse:
    """Events from the one after `after` on, or from now on; it does not end by itself."""
    async with staying.place(request) as ended:
        return await _follow(rooms, request, ended)


async def _follow(rooms: Rooms, request: web.Request, ended: asyncio.Event) -> web.StreamResponse:
    resume = request.headers.get("Last-Event-ID")
    wanted = parse_query(request, Wanted, **({"after": resume} if resume else {}))
    # Before it is answered: what happens from the answer on is told.
    place = _begin(await rooms.store.read(queries.stream), wanted.after)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        await _tell(rooms, response, ended, place, wanted.job)
    except ConnectionError:
        log.debug("a client stopped following events")
    except StoreError as error:  # too late for a status: the client resumes where this ends
        log.warning("a stream of events ended early: %s", error)
    return response


async def _tell(
    rooms: Rooms,
    response: web.StreamResponse,
    ended: asyncio.Event,
    place: tuple[int, str | None],
    job: int | None,
) -> None:
    after, missed = place
    monotonic = asyncio.get_running_loop().time
    told = float("-inf")  # the first heartbeat comes at once: the client knows that it is on
    while not ended.is_set():
        seen = rooms.store.bell.rings
        stream, found = await rooms.store.read(_look, after, job)
        if missed is None and after < stream.pruned:
            after, missed = stream.pruned, "pruned"
        if missed is not None:  # what was found after it is found again
            found, missed = [_gap(after, missed, rooms.clock.time())], None
        if found:
            # Waits while the client is slow, so that nothing piles up here.
            try:
                async with asyncio.timeout(PATIENCE):
                    await response.write(b"".join(_encode(stream, event) for event in found))
            except TimeoutError:
                log.info("a client reads events too slowly: told it to resume")
                await _cut(response, stream, found[-1].id, rooms.clock.time())
                return
            after = found[-1].id
        else:
            after = stream.newest  # those of other jobs are none that were missed
            if (left := told + HEARTBEAT - monotonic()) > 0:
                await rooms.store.bell.wait(seen, left)
                continue
            # With the place, a client that has seen no event yet can resume, too.
            cursor = views.cursor(stream.generation, after).encode()
            await response.write(b"id: %b\n:\n\n" % cursor)
        told = monotonic()


def _begin(stream: Stream, after: str | None) -> tuple[int, str | None]:
    """After which event a stream begins, and why what the client knew says nothing, if so."""
    if after is None:
        return stream.newest, None
    generation, _, number = after.rpartition("-")
    if generation not in ("", stream.generation) or int(number) > stream.newest:
        return stream.newest, "other_database"
    return int(number), None


async def _cut(response: web.StreamResponse, stream: Stream, after: int, now: float) -> None:
    """Tell a slow client, behind what it has not read yet, that it is to resume from there."""
    end = Event(id=after, at=now, job=None, type="cut", data={"why": "slow"})
    with contextlib.suppress(TimeoutError):  # it is written at once, and need not be taken at once
        async with asyncio.timeout(0):
            await response.write(_encode(stream, end))


def _gap(after: int, why: str, now: float) -> Event:
    return Event(id=after, at=now, job=None, type="gap", data={"why": why})


def _look(db: apsw.Connection, after: int, job: int | None) -> tuple[Stream, list[Event]]:
    return queries.stream(db), queries.events(db, after, BATCH, job)


def _encode(stream: Stream, event: Event) -> bytes:
    shown = views.event(event, stream.generation)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        shown.cursor.encode(),
        event.type.encode(),
        msgspec.json.encode(shown),
    )
