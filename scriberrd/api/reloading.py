"""The configuration is read again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms


class Reloaded(msgspec.Struct, frozen=True):
    """The new configuration is in force."""

    warnings: list[str]


async def reload(rooms: Rooms) -> Reloaded:
    """Work by the configuration as it is now; answers when that is so."""
    return Reloaded(await asyncio.shield(rooms.reload()))  # goes on when the client is gone
