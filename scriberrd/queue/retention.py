"""Delete hourly, in small steps, what is older than `[retention]` says.

A clock can be wrong, and what is deleted does not come back. So a clock that has jumped ahead is
not believed, a published file must be old by its own time too, and one pass deletes only a part of
what there is.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from scriberrd.errors import NoAnswer, StoreError
from scriberrd.model import display
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from scriberrd.config import Config, Inbox, Live
    from scriberrd.model import Clock
    from scriberrd.queue.store import Store

    # Deletes a published file written before that time; returns whether no file of ours is left.
    Delete = Callable[[Inbox, jobs.Aged, float], Awaitable[bool]]

log = logging.getLogger(__name__)

INTERVAL = 3600.0  # seconds
BATCH = 100  # rows deleted in one transaction
LEAST = 100  # rows of each kind that any pass may delete
PART = 10  # of more rows, a pass deletes one in so many
SLACK = 86_400.0  # seconds that a clock may be ahead of the known time and still be believed
DOUBT = 6 * 3600.0  # seconds after which a clock that stays ahead is believed


async def keep(
    store: Store,
    delete: Delete,
    forget: Callable[[float], Awaitable[None]],
    live: Live,
    clock: Clock,
    known: Known,
) -> None:
    """Prune for as long as the daemon runs, hourly.

    Args:
        store: what is pruned.
        delete: deletes a published file.
        forget: gets the time by which something is old; for what is kept elsewhere.
        live: the configuration.
        clock: where time comes from.
        known: what is known of the time.
    """
    while True:
        await asyncio.sleep(max(0.0, known.due - clock.monotonic()))
        known.due = clock.monotonic() + INTERVAL
        try:
            now = known.now(clock.time(), clock.monotonic())
            await prune(store, delete, live.config, now)
            await store.run(jobs.believe, now)
            await forget(now)
        except StoreError as error:
            log.warning("can't prune, trying again in an hour: %s", error)


class Known:
    """What is known of the time, whatever the clock says."""

    def __init__(self, at: float, monotonic: float) -> None:
        """It is `at` or later, at this moment of the monotonic clock."""
        self._at, self._since = at, monotonic
        self.due = monotonic  # the next pass
        self._doubted: tuple[float, float] | None = None

    def now(self, time: float, monotonic: float) -> float:
        """The time to compute ages with.

        Args:
            time: of the clock.
            monotonic: of the monotonic clock.
        """
        expected = self._at + monotonic - self._since
        if time < expected:
            return time
        if time > expected + SLACK and not self._goes_on(time, monotonic, expected):
            return expected
        self._at, self._since, self._doubted = time, monotonic, None
        return time

    def _goes_on(self, time: float, monotonic: float, expected: float) -> bool:
        """Whether the clock has been ahead for long; most wrong clocks are fixed soon."""
        was, since = self._doubted or (time, monotonic)
        jumped = abs(time - was - (monotonic - since)) > SLACK
        if jumped or self._doubted is None:
            self._doubted = was, since = time, monotonic
            log.warning(
                "the clock is %.0f days ahead of the last known time:"
                " for %.0f hours, nothing is deleted by age",
                (time - expected) / 86_400,
                DOUBT / 3600,
            )
        return monotonic - since >= DOUBT


async def known(store: Store, clock: Clock) -> Known:
    """What is known at the start, before anything is written with a time that may be wrong.

    It is not earlier than the time that an earlier daemon believed, or else the latest event.
    """
    believed = await store.read(queries.believed)
    return Known(clock.time() if believed is None else believed, clock.monotonic())


async def prune(store: Store, delete: Delete, config: Config, now: float) -> None:
    """Delete what is too old at `now`; an age of 0 is never.

    Raises:
        StoreError: the database can't be used; the next pass deletes the rest.
    """
    retention = config.retention
    if retention.transcripts:
        await _delete_transcripts(store, delete, config.inboxes, now - retention.transcripts)
    if retention.uploads:
        most = _most(sum((await store.read(queries.counts)).values()))
        total = await store.run(jobs.let_uploads_leave, now - retention.uploads, now, most)
        _tell(total, most, f"{total} uploads are to be deleted")
    if retention.jobs:
        await _prune_jobs(store, now - retention.jobs, now, uploads=retention.uploads > 0)
    if retention.events:
        await _prune_events(store, now - retention.events, now)


async def _prune_jobs(store: Store, before: float, now: float, *, uploads: bool) -> None:
    most, total = _most(sum((await store.read(queries.counts)).values())), 0
    after = (float("-inf"), 0)
    while total < most:
        ended = await store.search(jobs.ended_before, before, after, min(BATCH, most - total))
        if not ended:
            break
        ids = [id_ for _, id_ in ended]
        total += await store.run(jobs.prune, ids, before, now=now, uploads=uploads)
        after = ended[-1]
    _tell(total, most, f"pruned {total} jobs")


async def _prune_events(store: Store, before: float, now: float) -> None:
    """Delete old events up to the first young one.

    An event dated later than now proves nothing: the clock was ahead when it happened.
    """
    stream = await store.read(queries.stream)
    most, total, after = _most(stream.newest - stream.pruned), 0, 0
    young = False
    while total < most and not young:
        window = await store.search(jobs.event_times, after, min(BATCH, most - total))
        if not window:
            break
        ages = [(id_, at) for id_, at in window if at <= now]
        first = next((id_ for id_, at in ages if at >= before), None)
        young = first is not None
        old = [id_ for id_, _ in ages if first is None or id_ < first]
        if old:
            await store.run(jobs.prune_events, old)
        total, after = total + len(old), window[-1][0]
    _tell(total, most, f"pruned {total} events")


async def _delete_transcripts(
    store: Store, delete: Delete, inboxes: Collection[Inbox], before: float
) -> None:
    known = {inbox.name: inbox for inbox in inboxes}
    most, total, last = _most(await store.read(queries.jobs_ever)), 0, None
    while total < most:
        limit = min(BATCH, most - total)
        batch = await store.search(jobs.published_before, before, last, limit)
        if not batch:
            break
        for aged in batch:
            inbox = known.get(aged.output.inbox)
            try:
                total += inbox is not None and await delete(inbox, aged, before)
            except (NoAnswer, FileNotFoundError) as error:  # the same for all files there
                name = aged.output.inbox
                log.warning("inbox %s: can't delete old files: %s", name, error.strerror)
                del known[name]
            except OSError as error:
                name = display(aged.output.name)
                log.warning("can't delete %r: %s", name, error.strerror)
        last = batch[-1]
    _tell(total, most, f"deleted {total} published files, or left edited ones")


def _most(there: int) -> int:
    """How many of these one pass may delete."""
    return max(LEAST, there // PART)


def _tell(total: int, most: int, what: str) -> None:
    if total >= most:
        log.warning("%s: no more at once, the next pass is in an hour", what)
    elif total:
        log.info("%s", what)
