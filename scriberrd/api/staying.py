"""Clients that stay: those who follow the events, and those who wait for something to change."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from scriberrd.api.connections import PARTS, room
from scriberrd.errors import TooManyConnections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scriberrd.api.rooms import Rooms

ENDED = web.AppKey("ended", asyncio.Event)  # the application shuts down: nobody stays
PLACES = web.AppKey("places", asyncio.Semaphore)  # for all who stay


def end_with(app: web.Application, rooms: Rooms) -> None:
    """Let nobody stay any longer when the application shuts down."""
    app[ENDED] = asyncio.Event()
    app[PLACES] = asyncio.Semaphore(room() // PARTS)

    async def end(_: web.Application) -> None:
        app[ENDED].set()
        rooms.store.bell.ring()

    app.on_shutdown.append(end)


@contextlib.asynccontextmanager
async def place(request: web.Request) -> AsyncIterator[asyncio.Event]:
    """Have a place for a client that stays; gives what is set when the application shuts down.

    Raises:
        TooManyConnections: there is none left.
    """
    places = request.app[PLACES]
    if places.locked():
        raise TooManyConnections("too many clients follow the events, or wait for a job")
    async with places:
        yield request.app[ENDED]
