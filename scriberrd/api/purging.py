"""What is too old is deleted now, not within the hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from scriberrd.api.params import Params
from scriberrd.queue.retention import Due

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms


class Wanted(Params, frozen=True, kw_only=True):
    """Whether anything is deleted."""

    dry_run: bool = False


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass has deleted; or would delete, if it is a dry run."""

    dry_run: bool
    transcripts: Due
    uploads: Due
    jobs: Due
    events: Due


async def purge(rooms: Rooms, wanted: Wanted) -> Purged:
    """Make one pass of `[retention]`."""
    await rooms.count()
    passed = await rooms.purge(dry=wanted.dry_run)
    return Purged(dry_run=wanted.dry_run, **msgspec.structs.asdict(passed))
