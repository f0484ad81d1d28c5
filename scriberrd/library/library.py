"""The library: what finished stages have made, kept by what it was made of.

It lies beside the queue's database, and is a cache: rows of the queue decide, and a library that
is lost or can't be used only means work. So nothing here raises what is wrong with the file; it is
logged once, and whoever asked goes on without.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import apsw
import apsw.bestpractice
import msgspec

from scriberrd.library import shelf
from scriberrd.queue import jobs, queries
from scriberrd.queue.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from scriberrd.config import Live
    from scriberrd.model import Clock, Job
    from scriberrd.queue.store import Store

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

NAME = "library.db"
VERSION = 1  # of the schema: a library of another one begins anew
SCHEMA = resources.files("scriberrd.library").joinpath("schema.sql").read_text("utf-8")
BUSY_TIMEOUT = 200  # milliseconds that the lock of another process is waited for
REST = 60.0  # seconds without the library once it can't be used: nothing may wait for a cache
APPLICATION_ID = 0x5C21B00C
# What may pass by itself. All else means that the file is not, or not any more, what it should be.
PASSING = (
    *(apsw.FullError, apsw.ReadOnlyError, apsw.IOError, apsw.CantOpenError, apsw.PermissionsError),
    *(apsw.BusyError, apsw.LockedError, apsw.NoMemError),
)


class Library:
    """The open library of a daemon. One thread uses it; it is opened when it is first needed."""

    def __init__(self, state: Path, live: Live, clock: Clock) -> None:
        self._path, self._live, self._clock = state / NAME, live, clock
        self._db: apsw.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._trouble = ""
        self._rests_until = 0.0  # on the monotonic clock

    async def require_words(self, job: Job) -> None:
        """Raise WordsNotKept unless a job can be gone on with from its words."""

    async def restore(self, store: Store, job: Job) -> bool:
        """Give a job the finished work of the same bytes with the same settings, if there is any.

        Raises:
            LeaseLost: the job was taken back.
            StoreError: the queue's database can't be used.
        """
        if job.redo or job.sha256 is None or self._rests():
            return False
        key = shelf.Key.of(job.sha256, job.settings, map(str, job.fallbacks))
        found = await self._run(shelf.find, key, self._clock.time())
        if found is None:
            return False
        head, lease = found.head, jobs.Lease(job.id, job.lease)
        work = jobs.Work(head.probe, head.engine, head.done, None)
        try:
            await store.insist(jobs.restore, lease, work, _Blocks(self._path, found))
        except LookupError as error:
            log.warning("job %d: can't use its result in the library: %s", job.id, error)
            return False
        log.info("job %d: found its result in the library, nothing to do", job.id)
        return True

    async def keep(self, store: Store, job: Job) -> None:
        """Keep what is done of a job whose blocks are all done.

        Raises:
            StoreError: the queue's database can't be used.
        """
        work = await store.read(jobs.work, job.id)
        if (
            self._rests()
            or job.sha256 is None
            or work.probe is None
            or work.engine is None
            or work.finished is None
        ):
            return
        key = shelf.Key.of(job.sha256, job.settings, work.engine.fallbacks)
        head = shelf.Head(probe=work.probe, engine=work.engine, done=work.finished)
        with store.reader() as db:
            blocks = queries.Blocks(db, job.id)
            await self._run(shelf.put, key, head, blocks, self._clock.time(), self._limit)

    async def forget(self, recordings: Collection[str]) -> bool:
        """Keep nothing of these recordings any more, by their SHA-256; False when that fails."""
        return await self._run(shelf.forget, recordings) or False

    async def prune(self, now: float) -> None:
        """Forget what was not used for as long as `[retention]` says, which 0 does not limit."""
        age = self._live.config.retention.library
        if await self._run(shelf.prune, now - age if age else -math.inf, self._limit):
            log.info("the library has forgotten what was not used for long")

    @property
    def _limit(self) -> float:
        """Bytes that the library may have."""
        return self._live.config.retention.library_size or math.inf

    def close(self) -> None:
        """Finish what runs, then close the file."""
        self._thread.shutdown()
        if self._db is not None:
            self._db.close()

    async def _run(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Run `function(db, ...)` as one transaction; None when the library can't be used."""

        def transact() -> T:
            if self._db is not None and not self._path.exists():
                log.warning("the library is gone and begins anew: %s", self._path)
                self._begin_anew()
            self._db = self._db or _open(self._path)
            with transaction(self._db):
                result = function(self._db, *args, **kwargs)
            self._db.execute("PRAGMA incremental_vacuum").fetchall()
            return result

        try:
            result = await self._in_thread(transact)
        except PASSING as error:
            if self._trouble != str(error):
                log.warning("can't use the library, work may be done again: %s", error)
            self._trouble, self._rests_until = str(error), self._clock.monotonic() + REST
        except apsw.Error as error:
            log.warning("the library is damaged, setting it aside and beginning anew: %s", error)
            await self._in_thread(self._begin_anew)
        else:
            self._trouble, self._rests_until = "", 0.0
            return result
        return None

    def _rests(self) -> bool:
        return self._clock.monotonic() < self._rests_until

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _begin_anew(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()
        _set_aside(self._path)


class _Blocks:
    """The blocks of a result, as JSON, for any thread, and from the first on whenever it is asked.

    They are read on their way into the queue: a day of speech is never in memory as a whole. What
    is wrong with them is a LookupError: what writes to the queue must not take it for its own.
    """

    def __init__(self, path: Path, found: shelf.Found) -> None:
        self._path, self._found = str(path), found

    def __iter__(self) -> Iterator[str]:
        try:
            connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY)
            with contextlib.closing(connection) as db:
                db.set_busy_timeout(BUSY_TIMEOUT)
                yield from shelf.blocks(db, self._found)
        except (apsw.Error, zlib.error, msgspec.MsgspecError) as error:
            raise LookupError(str(error)) from error


def _open(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    try:
        db.set_busy_timeout(BUSY_TIMEOUT)
        found = db.pragma("application_id"), db.pragma("user_version")
        empty = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").get is None
        if not empty and found != (APPLICATION_ID, VERSION):
            raise apsw.NotADBError(f"{path.name} is of another program or version")  # noqa: TRY301
        db.pragma("auto_vacuum", "incremental")
        apsw.bestpractice.connection_wal(db)
        apsw.bestpractice.connection_dqs(db)
        apsw.bestpractice.connection_enable_foreign_keys(db)
        if empty:
            with transaction(db):
                db.execute(SCHEMA)
                db.pragma("application_id", APPLICATION_ID)
                db.pragma("user_version", VERSION)
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    """Rename a library, instead of the one that was set aside before."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.replace(f"{path}{suffix}", f"{path}.damaged{suffix}")
