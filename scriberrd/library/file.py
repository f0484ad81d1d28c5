"""The file of the library: opened when it is needed, set aside when it is damaged.

Nothing here raises what is wrong with it; that is logged once, and whoever asked goes on without.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import apsw
import apsw.bestpractice

from scriberrd.queue.restore import BACKUPS
from scriberrd.queue.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scriberrd.model import Clock

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

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


class File:
    """The open file. One thread uses it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path, self._clock = path, clock
        self._copy = path.parent / BACKUPS / path.name  # of the latest backup, if it has one
        self._db: apsw.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._trouble = ""
        self._rests_until = 0.0  # on the monotonic clock

    def rests(self) -> bool:
        """Whether it could not be used a moment ago."""
        return self._clock.monotonic() < self._rests_until

    async def run(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Run `function(db, ...)` as one transaction; None when the library can't be used."""

        def transact() -> T:
            if self._db is not None and not self.path.exists():
                log.warning("the library is gone and begins anew: %s", self.path)
                self._begin_anew()
            if self._db is None:
                self._lay_back()
                self._db = _open(self.path)
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

    async def read(self, function: Callable[[apsw.Connection], T]) -> T | None:
        """Look at it without waiting for what runs; None when that can't be done, or is for later.

        A library that is not there yet is not made for that.
        """

        def look() -> T:
            flags = apsw.SQLITE_OPEN_READONLY
            with contextlib.closing(apsw.Connection(str(self.path), flags=flags)) as db:
                db.set_busy_timeout(BUSY_TIMEOUT)
                return function(db)

        try:
            return await asyncio.to_thread(look)
        except apsw.Error:  # who works with it tells of it
            return None

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _lay_back(self) -> None:
        """Take the copy of the latest backup if the file is missing: it may hold all that is left.

        It is not kept beside that: if it is damaged, too, it must not come back again and again.
        """
        if not self.path.exists():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.replace(self._copy, self.path)
                log.warning("the library was missing: this is the copy of the latest backup")

    async def forget_copy(self) -> None:
        """Remove the copy of the latest backup: it holds what is to be forgotten."""
        await self._in_thread(lambda: self._copy.unlink(missing_ok=True))

    def _begin_anew(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()
        _set_aside(self.path)

    def close(self) -> None:
        """Finish what runs, then close the file."""
        self._thread.shutdown()
        if self._db is not None:
            self._db.close()


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
