"""The database file: open, check, migrate, run. No business logic here.

One connection writes, on a thread of its own; each function that it runs is one transaction.
A second, read-only connection on another thread serves listings, so that they never wait for a
writer nor make one wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import apsw
import apsw.bestpractice

from scriberrd import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

APPLICATION_ID = 0x5C21BE44
VERSION = 1  # of schema.sql; the database has it as its user_version
BUSY_TIMEOUT_MS = 5_000

# Older ones have a race that resets the WAL under a second connection and corrupts the file.
OLDEST_SQLITE = (3, 51, 3)


def connect(path: Path) -> apsw.Connection:
    """Open the database for writing, creating or migrating it as needed.

    Raises:
        DatabaseForeign: the file is no database, or another application's.
        DatabaseNewer: a newer scriberrd wrote it.
        StoreError: it can't be used for another reason.
    """
    if tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) < OLDEST_SQLITE:
        raise errors.StoreError(f"SQLite {apsw.sqlite_lib_version()} is too old: upgrade apsw")
    with translated(path.name):
        db = apsw.Connection(str(path))
        try:
            db.set_busy_timeout(BUSY_TIMEOUT_MS)
            _refuse_foreign(db, path.name)  # before anything is written, the WAL mode included
            apsw.bestpractice.connection_wal(db)
            apsw.bestpractice.connection_enable_foreign_keys(db)
            apsw.bestpractice.connection_dqs(db)
            db.transaction_mode = "IMMEDIATE"
            _migrate(db)
        except BaseException:
            db.close()
            raise
    return db


def _refuse_foreign(db: apsw.Connection, name: str) -> None:
    application, version = db.pragma("application_id"), db.pragma("user_version")
    empty = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").get is None
    if application != APPLICATION_ID and not (empty and application == 0):
        raise errors.DatabaseForeign(
            f"{name} belongs to another application: move it away, or set daemon.state_dir"
        )
    if not isinstance(version, int) or version > VERSION:
        raise errors.DatabaseNewer(
            f"{name} has schema {version}, this scriberrd knows up to {VERSION}: upgrade it"
        )


def _migrate(db: apsw.Connection) -> None:
    with db:
        if db.pragma("user_version") == 0:
            db.execute(resources.files("scriberrd").joinpath("schema.sql").read_text("utf-8"))
            db.pragma("application_id", APPLICATION_ID)
            db.pragma("user_version", VERSION)


@contextlib.contextmanager
def translated(name: str = "the database") -> Iterator[None]:
    """Turn what apsw raises about files, locks and disks into errors of our own."""
    try:
        yield
    except apsw.Error as error:
        # When a statement has rolled the transaction back, leaving `with db` fails in its turn:
        # the cause is then only in the context.
        cause: BaseException | None = error
        while cause is not None:
            for kind, ours, advice in _CAUSES:
                if isinstance(cause, kind):
                    raise ours(f"{name}: {cause}; {advice}") from error
            cause = cause.__context__
        raise  # a mistake in this program, not a fault of the machine


_CAUSES: tuple[tuple[type[apsw.Error], type[errors.StoreError], str], ...] = (
    (apsw.FullError, errors.DiskFull, "make room"),
    (apsw.ReadOnlyError, errors.DatabaseReadOnly, "the file or its file system is read-only"),
    (apsw.BusyError, errors.DatabaseBusy, "another process holds the write lock"),
    (apsw.LockedError, errors.DatabaseBusy, "another connection holds the lock"),
    (apsw.NotADBError, errors.DatabaseForeign, "it was left untouched: move it away"),
    (apsw.CantOpenError, errors.StoreError, "see daemon.state_dir, and who may write there"),
    (apsw.IOError, errors.StoreError, "the disk fails"),
    (apsw.CorruptError, errors.StoreError, "the file is damaged"),
    (apsw.NoMemError, errors.StoreError, "no memory is left"),
)


def probe(db: apsw.Connection) -> None:
    """Write a page, and change nothing: whether the database can be written."""
    db.pragma("user_version", db.pragma("user_version"))


class Bell:
    """Rings after every commit: whoever waits looks at the database again.

    Read `rings` before looking, and wait for the next one after it: none is missed in between.
    """

    def __init__(self) -> None:
        self.rings = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake everybody who waits."""
        self.rings += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, seconds: float | None = None) -> None:
        """Return when it has rung since `rings` was `seen`, or after so many seconds."""
        if self.rings == seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._event.wait()


class Store:
    """The open database of a daemon."""

    def __init__(self, path: Path) -> None:
        self.bell = Bell()
        self._db = connect(path)
        with translated(path.name):
            self._reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._reader.set_busy_timeout(BUSY_TIMEOUT_MS)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="store-read")

    async def run(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `function(db, ...)` as one transaction; ring the bell when it changed something.

        When this await is cancelled the transaction still happens: treat the outcome as unknown.
        """

        def transact() -> tuple[T, bool]:
            before = self._db.total_changes()
            with translated(), self._db:
                result = function(self._db, *args, **kwargs)
            return result, self._db.total_changes() != before

        loop = asyncio.get_running_loop()
        result, changed = await loop.run_in_executor(self._write_thread, transact)
        if changed:
            self.bell.ring()
        return result

    async def read(
        self,
        function: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `function(db, ...)` on a consistent view of what is committed."""

        def look() -> T:
            with translated(), self._reader:
                result = function(self._reader, *args, **kwargs)
            return result  # noqa: RET504 - apsw's context does not promise to pass errors on

        return await asyncio.get_running_loop().run_in_executor(self._read_thread, look)

    def close(self) -> None:
        """Finish what runs, then close the file."""
        self._read_thread.shutdown()
        self._write_thread.shutdown()
        self._reader.close()
        self._db.close()
