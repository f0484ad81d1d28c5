"""Delete hourly, in small steps, what is older than `[retention]` says.

A clock can be wrong, and what is deleted does not come back. So a clock that has jumped ahead is
not believed, a published file must be old by its own time too, and one pass deletes only a part of
what there is.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

import msgspec

from scriberrd.errors import NoAnswer, StoreError
from scriberrd.model import display
from scriberrd.queue import jobs, queries
from scriberrd.queue.transactions import undone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    import apsw

    from scriberrd.config import Config, Inbox, Live
    from scriberrd.model import Clock
    from scriberrd.queue.store import Store

    # Deletes a published file written before that time; returns whether no file of ours is left.
    Delete = Callable[[Inbox, jobs.Aged, float], Awaitable[bool]]

log = logging.getLogger(__name__)

INTERVAL = 3600.0  # seconds
BATCH = 100  # rows deleted in one transaction
LEAST = 100  # rows of each kind that any pass may delete
NAMES = 100  # that are told of each kind
PART = 10  # of more rows, a pass deletes one in so many
SLACK = 86_400.0  # seconds that a clock may be ahead of the known time and still be believed
DOUBT = 6 * 3600.0  # seconds after which a clock that stays ahead is believed


class Due(msgspec.Struct):
    """What a pass has deleted of one kind, or would delete."""

    count: int = 0
    names: list[str] = []  # the first of them: a recording as "inbox/path", or a published file

    def add(self, names: Sequence[str]) -> None:
        """These, too."""
        self.count += len(names)
        self.names += names[: max(0, NAMES - len(self.names))]


class Passed(msgspec.Struct, frozen=True):
    """What one pass has deleted, or would delete."""

    transcripts: Due
    uploads: Due
    jobs: Due
    events: Due


class Keeper:
    """Deletes what is too old: hourly, and when somebody asks for it."""

    def __init__(
        self,
        store: Store,
        live: Live,
        clock: Clock,
        known: Known,
        *,
        delete: Delete,
        is_due: Delete,
        forget: Callable[[float], Awaitable[None]],
    ) -> None:
        """Make it.

        Args:
            store: what is pruned.
            live: the configuration.
            clock: where time comes from.
            known: what is known of the time.
            delete: deletes a published file.
            is_due: tells whether `delete` would do so.
            forget: gets the time by which something is old; for what is kept elsewhere.
        """
        self._store, self._live, self._clock, self._known = store, live, clock, known
        self._delete, self._is_due, self._forget = delete, is_due, forget
        self._passing = asyncio.Lock()

    async def run(self) -> None:
        """Prune for as long as the daemon runs."""
        known, clock = self._known, self._clock
        while True:
            await asyncio.sleep(max(0.0, known.due - clock.monotonic()))
            known.due = clock.monotonic() + INTERVAL
            try:
                await self.once()
            except StoreError as error:
                log.warning("can't prune, trying again in an hour: %s", error)

    async def once(self, *, dry: bool = False) -> Passed:
        """Make one pass.

        Args:
            dry: only tell what it would delete. Of several jobs about a recording it may tell
                fewer: one goes after the other.

        Raises:
            StoreError: the database can't be used.
        """
        async with self._passing:
            now = self._known.now(self._clock.time(), self._clock.monotonic())
            delete = self._is_due if dry else self._delete
            passed = await prune(self._store, delete, self._live.config, now, dry=dry)
            if not dry:
                await self._store.run(jobs.believe, now)
                await self._forget(now)
            return passed


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


async def prune(
    store: Store, delete: Delete, config: Config, now: float, *, dry: bool = False
) -> Passed:
    """Delete what is too old at `now`; an age of 0 is never.

    Args:
        store: what is pruned.
        delete: deletes a published file; or tells whether it would, if it is `dry`.
        config: says what is too old.
        now: the time.
        dry: only tell what would be deleted.

    Raises:
        StoreError: the database can't be used; the next pass deletes the rest.
    """
    passed, retention = Passed(Due(), Due(), Due(), Due()), config.retention

    async def run(change: Callable[[apsw.Connection], list[str]]) -> list[str]:
        return await (store.run(undone, change) if dry else store.run(change))

    if before := _before(now, retention.transcripts):
        most = _most(await store.read(queries.jobs_ever))
        await _delete_transcripts(store, delete, config.inboxes, before, most, passed.transcripts)
        _tell(passed.transcripts, most, "deleted {} published files, or left edited ones", dry)
    if before := _before(now, retention.uploads):
        most = _most(sum((await store.read(queries.counts)).values()))
        leave = functools.partial(jobs.let_uploads_leave, before=before, now=now, most=most)
        passed.uploads.add(await run(leave))
        _tell(passed.uploads, most, "{} uploads are to be deleted", dry)
    if before := _before(now, retention.jobs):
        most = _most(sum((await store.read(queries.counts)).values()))
        forget = functools.partial(
            jobs.prune, before=before, now=now, uploads=retention.uploads > 0
        )

        async def some(ids: list[int]) -> list[str]:
            return await run(functools.partial(forget, ids=ids))

        await _prune_jobs(store, some, before, most, passed.jobs)
        _tell(passed.jobs, most, "pruned {} jobs", dry)
    if before := _before(now, retention.events):
        most = await _prune_events(store, before, now, passed.events, dry=dry)
        _tell(passed.events, most, "pruned {} events", dry)
    return passed


def _before(now: float, age: float) -> float | None:
    """The time before which something is too old; None: never."""
    return now - age if age else None


async def _prune_jobs(
    store: Store,
    prune: Callable[[list[int]], Awaitable[list[str]]],
    before: float,
    most: int,
    gone: Due,
) -> None:
    after = (float("-inf"), 0)
    while gone.count < most:
        limit = min(BATCH, most - gone.count)
        ended = await store.search(jobs.ended_before, before, after, limit)
        if not ended:
            break
        gone.add(await prune([id_ for _, id_ in ended]))
        after = ended[-1]


async def _prune_events(store: Store, before: float, now: float, gone: Due, *, dry: bool) -> int:
    """Delete old events up to the first young one; returns how many may be deleted.

    An event dated later than now proves nothing: the clock was ahead when it happened.
    """
    stream = await store.read(queries.stream)
    most, after = _most(stream.newest - stream.pruned), 0
    young = False
    while gone.count < most and not young:
        window = await store.search(jobs.event_times, after, min(BATCH, most - gone.count))
        if not window:
            break
        ages = [(id_, at) for id_, at in window if at <= now]
        first = next((id_ for id_, at in ages if at >= before), None)
        young = first is not None
        old = [id_ for id_, _ in ages if first is None or id_ < first]
        if old and not dry:
            await store.run(jobs.prune_events, old)
        gone.count += len(old)
        after = window[-1][0]
    return most


async def _delete_transcripts(
    store: Store,
    delete: Delete,
    inboxes: Collection[Inbox],
    before: float,
    most: int,
    gone: Due,
) -> None:
    known, last = {inbox.name: inbox for inbox in inboxes}, None
    while gone.count < most:
        limit = min(BATCH, most - gone.count)
        batch = await store.search(jobs.published_before, before, last, limit)
        if not batch:
            break
        for aged in batch:
            inbox = known.get(aged.output.inbox)
            name = display(aged.output.name)
            try:
                if inbox is not None and await delete(inbox, aged, before):
                    gone.add([f"{inbox.name}/{name}"])
            except (NoAnswer, FileNotFoundError) as error:  # the same for all files there
                whose = aged.output.inbox
                log.warning("inbox %s: can't delete old files: %s", whose, error.strerror)
                del known[whose]
            except OSError as error:
                log.warning("can't delete %r: %s", name, error.strerror)
        last = batch[-1]


def _most(there: int) -> int:
    """How many of these one pass may delete."""
    return max(LEAST, there // PART)


def _tell(gone: Due, most: int, what: str, dry: bool) -> None:
    what = what.format(gone.count)
    if dry:
        return
    if gone.count >= most:
        log.warning("%s: no more at once, the next pass is in an hour", what)
    elif gone.count:
        log.info("%s", what)
