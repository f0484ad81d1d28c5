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
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import apsw
import apsw.bestpractice

from scriberrd.library import shelf
from scriberrd.queue import jobs, queries
from scriberrd.queue.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
BUSY_TIMEOUT = 500  # milliseconds to wait for the lock of another process
DAMAGED = (apsw.CorruptError, apsw.NotADBError)


class Library:
    """The open library of a daemon. One thread uses it; it is opened when it is first needed."""

    def __init__(self, state: Path, live: Live, clock: Clock) -> None:
        self._path, self._live, self._clock = state / NAME, live, clock
        self._db: apsw.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._trouble = ""

    async def restore(self, store: Store, job: Job) -> bool:
        """Give a job the finished work of the same bytes with the same settings, if there is any.

        Raises:
            LeaseLost: the job was taken back.
            StoreError: the queue's database can't be used.
        """
        if job.redo or job.sha256 is None:
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
            log.warning("job %d: lost its result in the library, working again: %s", job.id, error)
            return False
        log.info("job %d: found its result in the library, nothing to do", job.id)
        return True

    async def keep(self, store: Store, job: Job) -> None:
        """Keep what is done of a job whose blocks are all done.

        Raises:
            StoreError: the queue's database can't be used.
        """
        work = await store.read(jobs.work, job.id)
        if job.sha256 is None or work.probe is None or work.engine is None or work.finished is None:
            return
        key = shelf.Key.of(job.sha256, job.settings, work.engine.fallbacks)
        head = shelf.Head(probe=work.probe, engine=work.engine, done=work.finished)
        with store.reader() as db:
            blocks = queries.Blocks(db, job.id)
            await self._run(shelf.put, key, head, blocks, self._clock.time())
        await self._run(shelf.prune, -math.inf, self._limit)

    async def forget(self, sha256: str) -> None:
        """Keep nothing of a recording any more."""
        await self._run(shelf.forget, sha256)

    async def prune(self, now: float) -> None:
        """Forget what was not used for as long as `[retention]` says, which 0 does not limit."""
        age = self._live.config.retention.library
        if await self._run(shelf.prune, now - age if age else -math.inf, self._limit):
            log.info("the library has forgotten what was not used for long")

    @property
    def _limit(self) -> int:
        """Bytes that the library may have."""
        return self._live.config.retention.library_size or sys.maxsize

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
        except DAMAGED as error:
            log.warning("the library is damaged and begins anew: %s", error)
            await self._in_thread(self._begin_anew)
        except apsw.Error as error:
            if self._trouble != str(error):
                log.warning("the library can't be used, work may be done again: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = ""
            return result
        return None

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _begin_anew(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()
        _remove(self._path)


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
        except (apsw.Error, zlib.error) as error:
            raise LookupError(str(error)) from error


def _open(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    try:
        db.set_busy_timeout(BUSY_TIMEOUT)
        version = db.pragma("user_version")
        if version not in (0, VERSION):
            log.warning("the library is of another version of scriberrd and begins anew")
            db.close()
            _remove(path)
            return _open(path)
        db.pragma("auto_vacuum", "incremental")
        apsw.bestpractice.connection_wal(db)
        apsw.bestpractice.connection_dqs(db)
        apsw.bestpractice.connection_enable_foreign_keys(db)
        with transaction(db):
            if db.pragma("user_version") == 0:
                db.execute(SCHEMA)
                db.pragma("user_version", VERSION)
    except BaseException:
        db.close()
        raise
    return db


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(f"{path}{suffix}")
