"""One pass over the inboxes: the daemon, until all that lies there is done."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from scriberrd import daemon, logs
from scriberrd.model import JobState
from scriberrd.queue import about, jobs, queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.api.rooms import Rooms
    from scriberrd.config import Config
    from scriberrd.inbox.watch import Watching

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between two looks at whether all is done
QUIET = 30.0  # seconds without any work, at least: then what is left waits for something else


async def run(config: Config, reload: Callable[[], Config]) -> bool:
    """Do all that lies in the inboxes, as the daemon does; see `daemon.run`.

    Returns:
        Whether all is done: no job has failed, none is left, and no inbox was unavailable.
    """
    outcomes: list[bool] = []

    async def end(rooms: Rooms) -> None:
        outcomes.append(await _finish(rooms))

    await daemon.run(config, reload, end)
    return outcomes == [True]


async def _finish(rooms: Rooms) -> bool:
    """Wait until all is done, or nothing goes on any more; tells whether all is done."""
    began, worked = rooms.clock.time(), rooms.clock.monotonic()
    while True:
        config = rooms.live.config
        inboxes = {one.name: rooms.watching(one.name) for one in config.inboxes}
        missing = [name for name, one in inboxes.items() if _is_missing(one)]
        seen = [one for one in inboxes.values() if one.state != "unavailable"]
        idle = all(one.idle for one in seen)  # before the look at the jobs: it has made some
        counts = await rooms.store.read(queries.counts)
        left = counts[JobState.QUEUED] + await rooms.store.read(jobs.leaving_count, inboxes)
        left += sum(one.left for one in seen)
        if counts[JobState.PROCESSING] or any(map(_is_working, seen)):
            worked = rooms.clock.monotonic()
        elif idle and not left:
            break
        settle = max((one.settle for one in config.inboxes), default=0.0)
        if rooms.clock.monotonic() - worked > max(QUIET, config.retry.backoff, settle):
            break
        await asyncio.sleep(LOOK)
    failed = await rooms.store.read(about.failed_since, began)
    for name in missing:
        with logs.about(inbox=name):
            log.warning("could not be scanned")
    for one in await rooms.store.read(jobs.hindered):
        with logs.about(inbox=one.inbox):
            log.warning("%d recordings could not leave it: %s", one.number, one.error)
    log.info("all inboxes are scanned: %d jobs have failed, %d files are left", failed, left)
    return idle and not (failed or left or missing)


def _is_missing(inbox: Watching) -> bool:
    """Whether an inbox, or a file system in it, can't be read."""
    return "unavailable" in {inbox.state, *(mount.state for mount in inbox.mounts)}


def _is_working(inbox: Watching) -> bool:
    return inbox.state == "starting" or bool(inbox.reading)
