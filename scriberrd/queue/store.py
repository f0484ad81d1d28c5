"""The database file: open, check, migrate, run. No business logic here.

One connection writes, on a thread of its own; each function that it runs is one transaction.
Two read-only connections, each on its own thread, neither wait for writers nor block them: one for
short reads, and one for long ones, so that short reads never wait for long ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec, TypeVar

import apsw
import apsw.bestpractice

from scriberrd import errors
from scriberrd.queue import migrations
from scriberrd.queue.faults import translated
from scriberrd.queue.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

APPLICATION_ID = 0x5C21BE44
VERSION = migrations.CURRENT.version
BUSY_TIMEOUT = 5.0  # seconds
PATIENCE = 75.0  # seconds that `insist` waits for another process; systemd kills after 90

# Older versions have a race that resets the WAL under a second connection and corrupts the file.
OLDEST_SQLITE = (3, 51, 3)


def connect(
    path: Path,
    *,
    check_first: bool = False,
    schema: migrations.Schema = migrations.CURRENT,
    busy_timeout: float = BUSY_TIMEOUT,
) -> apsw.Connection:
    """Open the database for writing, creating or migrating it as needed.

    Args:
        path: of the file.
        check_first: check the whole file for damage.
        schema: the schema to migrate to.
        busy_timeout: seconds to wait for the write lock of another process.

    Raises:
        DatabaseCorrupt: it is damaged.
        DatabaseForeign: it is another application's.
        DatabaseNewer: a newer scriberrd wrote it.
        NotADatabase: its first page is damaged, or the file never was a database.
        StoreError: it can't be used for another reason.
    """
    if tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) < OLDEST_SQLITE:
        raise errors.StoreError(f"SQLite {apsw.sqlite_lib_version()} is too old: upgrade apsw")
    with translated(path.name):
        db = apsw.Connection(str(path))
        try:
            db.set_busy_timeout(int(busy_timeout * 1000))
            # A damaged database must keep its WAL, so that both are set aside as they were found.
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            # Before anything is written, including the WAL mode.
            refuse_foreign(db, path.name, schema.version)
            if check_first:
                check(db, path.name)
            # For a new file: a move changes few rows of many tables, and whole pages are synced.
            db.pragma("page_size", 2048)
            apsw.bestpractice.connection_wal(db)
            apsw.bestpractice.connection_dqs(db)
            migrations.migrate(db, schema, application=APPLICATION_ID)
            apsw.bestpractice.connection_enable_foreign_keys(db)
            _keep_plans(db)
            db.wal_autocheckpoint(2000)  # pages: a WAL of 4 MiB, as with pages of the usual size
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        except BaseException:
            db.close()
            raise
    return db


def _keep_plans(db: apsw.Connection) -> None:
    # Plans that depend on bound values are remade for each run: several times slower.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def refuse_foreign(db: apsw.Connection, name: str, newest: int = VERSION) -> None:
    """Raise DatabaseForeign or DatabaseNewer unless it is empty, or ours and not newer."""
    application, version = db.pragma("application_id"), db.pragma("user_version")
    empty = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").get is None
    if application != APPLICATION_ID and not (empty and application == 0):
        raise errors.DatabaseForeign(
            f"{name} belongs to another application: move it away, or set daemon.state_dir"
        )
    if not isinstance(version, int) or version > newest:
        raise errors.DatabaseNewer(
            f"{name} has schema {version}, this scriberrd knows up to {newest}: upgrade scriberrd"
        )


def check(db: apsw.Connection, name: str) -> None:
    """Raise DatabaseCorrupt if pages are damaged; reads the whole file."""
    findings = [finding for (finding,) in db.execute("PRAGMA quick_check(3)")]
    if findings != ["ok"]:
        raise errors.DatabaseCorrupt(f"{name} is damaged: {'; '.join(findings)}")


def renew(file: Path) -> None:
    """Give a copy of a database, which nobody uses, another generation.

    New events in the copy reuse ids that clients already know from the original.
    """
    with translated(file.name), contextlib.closing(apsw.Connection(str(file))) as db:
        db.pragma("journal_mode", "off")  # leave no file beside it
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'stream'").get is not None:
            db.execute("UPDATE stream SET generation = lower(hex(randomblob(4)))")


def probe(db: apsw.Connection) -> None:
    """Write a page without changing anything, to see whether the database can be written."""
    db.pragma("user_version", db.pragma("user_version"))


class Bell:
    """Rings after every commit, so that those who wait look at the database again.

    Read `rings` before looking, then wait for the next one: so none is missed in between.
    """

    def __init__(self) -> None:
        self.rings = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait."""
        self.rings += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, seconds: float | None = None) -> None:
        """Return when it has rung since `rings` was `seen`, or after so many seconds."""
        if self.rings == seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._event.wait()


class _Reader(NamedTuple):
    """A read-only connection, and the thread that uses it."""

    db: apsw.Connection
    thread: ThreadPoolExecutor

    @classmethod
    def open(cls, path: Path, busy_timeout: float, name: str) -> _Reader:
        with translated(path.name):
            db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            db.set_busy_timeout(int(busy_timeout * 1000))
            _keep_plans(db)
        return cls(db, ThreadPoolExecutor(1, thread_name_prefix=name))


class Store:
    """The open database of a daemon.

    After a failure of the disk or on a damaged page, it can't be trusted any more: `failed` is set,
    and the daemon should stop and start again.
    """

    def __init__(
        self, path: Path, *, check: bool = False, busy_timeout: float = BUSY_TIMEOUT
    ) -> None:
        self.bell = Bell()
        self.failure: errors.StoreError | None = None
        self.failed = asyncio.Event()
        self._path, self._busy_timeout = path, busy_timeout
        self._db = connect(path, check_first=check, busy_timeout=busy_timeout)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._reader = _Reader.open(path, busy_timeout, "store-read")
        self._searcher = _Reader.open(path, busy_timeout, "store-search")

    async def run(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `function(db, ...)` as one transaction; ring the bell if it changed something.

        It knows who asks. When this await is cancelled, it still happens: treat the outcome as
        unknown.
        """
        asked, loop, context = time.monotonic(), asyncio.get_running_loop(), copy_context()

        def transact() -> T:
            # The time in this thread's queue counts: those ahead may have waited for the same lock.
            left = max(0.0, asked + self._busy_timeout - time.monotonic())
            self._db.set_busy_timeout(int(left * 1000))
            before = self._db.total_changes()
            with translated(db=self._db), transaction(self._db):
                result = context.run(function, self._db, *args, **kwargs)
            if self._db.total_changes() != before:
                # Ring from here: the caller may be gone. If the loop has ended, all are gone.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self.bell.ring)
            return result

        return await self._in(self._write_thread, transact)

    async def insist(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `run`, but wait longer while another process holds the lock.

        Raises:
            DatabaseBusy: it has held the lock for longer than `PATIENCE`.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await self.run(function, *args, **kwargs)
            except errors.DatabaseBusy as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("%s; waiting for it", error)

    async def read(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a short `function(db, ...)` on a consistent snapshot of what is committed."""
        return await self._look(self._reader, lambda db: function(db, *args, **kwargs))

    async def search(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `read`, for what may take a while: only other searches wait for it."""
        return await self._look(self._searcher, lambda db: function(db, *args, **kwargs))

    async def _look(self, reader: _Reader, function: Callable[[apsw.Connection], T]) -> T:
        def look() -> T:
            with translated(db=reader.db), transaction(reader.db, write=False):
                return function(reader.db)

        return await self._in(reader.thread, look)

    @contextlib.contextmanager
    def reader(self) -> Iterator[apsw.Connection]:
        """A read-only connection of the caller's own, for many reads over a longer time."""
        with translated():
            db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(int(self._busy_timeout * 1000))
        try:
            yield db
        except (errors.DatabaseCorrupt, errors.DiskFailed) as error:
            self.fail(error)
            raise
        finally:
            # An abandoned thread may still be reading: then the connection ends with the thread.
            with contextlib.suppress(apsw.ThreadingViolationError):
                db.close()

    async def _in(self, thread: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        try:
            context = contextvars.copy_context()  # of which the executor knows nothing
            return await asyncio.get_running_loop().run_in_executor(thread, context.run, function)
        except (errors.DatabaseCorrupt, errors.DiskFailed) as error:
            self.fail(error)
            raise

    def fail(self, error: errors.StoreError) -> None:
        """Note the error after which the database can't be trusted any more."""
        self.failure = self.failure or error
        self.failed.set()

    def close(self) -> None:
        """Finish what is running, then close the file."""
        for reader in (self._searcher, self._reader):
            reader.thread.shutdown()
            reader.db.close()
        self._write_thread.shutdown()
        self._db.close()
