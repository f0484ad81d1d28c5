"""Copies of the database, made while it is in use.

A backup is a single file that is complete, durable and checked before it gets its name. It is read
from one view of the data, so that writers neither wait for it nor make it start over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from scriberrd.errors import DatabaseCorrupt, ScriberrdError, StoreError
from scriberrd.files.names import sync_folder
from scriberrd.queue import store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.model import Clock

log = logging.getLogger(__name__)

NAME = "scriberrd-%Y%m%dT%H%M%S.db"  # in UTC: the order of names is that of time
UNFINISHED = "unfinished-"
PAGES = 256  # that are copied at a time
LOOK = 3600.0  # seconds between two looks at the clock, which may jump
AHEAD = 3600.0  # seconds that a clock is put back without having been wrong
RETRY = 600.0  # seconds after a backup that failed


class Stopped(ScriberrdError):
    """The daemon stops: the backup is given up."""


def found(folder: Path, now: float) -> list[Path]:
    """The backups in a folder, oldest first.

    Those dated later than `now` come before all others: the clock was wrong when they were made, so
    nobody knows how old they are.
    """
    dated = ((not _is_ahead(at, now), at, file) for at, file in _dated(folder))
    return [file for _, _, file in sorted(dated)]


def _is_ahead(at: float, now: float) -> bool:
    return at > now + AHEAD


def _dated(folder: Path) -> Iterator[tuple[float, Path]]:
    for file in folder.glob("scriberrd-*.db"):
        with contextlib.suppress(ValueError):
            made = datetime.strptime(file.name, NAME).replace(tzinfo=UTC)
            yield made.timestamp(), file


def require_sound(file: Path) -> None:
    """Check a backup, which no daemon has open.

    Raises:
        StoreError: it is empty or damaged, or this scriberrd can't use it.
    """
    with store.translated(file.name):
        # Nothing may be written beside it: it is evidence as much as it is a backup.
        name = f"file:{_quoted(file)}?immutable=1"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        with contextlib.closing(apsw.Connection(name, flags=flags)) as db:
            if not db.pragma("page_count"):
                raise StoreError(f"{file.name} is empty")
            store.refuse_foreign(db, file.name)
            store.check(db, file.name)


def _quoted(file: Path) -> str:
    return str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def make(
    database: Path, folder: Path, *, keep: int, now: float, stop: threading.Event | None = None
) -> Path:
    """Copy a database that may be in use, then remove the oldest backups.

    Args:
        database: the file.
        folder: where backups are kept; it is made.
        keep: how many, this one included.
        now: the time.
        stop: gives the backup up when it is set by another thread.

    Raises:
        DatabaseCorrupt: the database is damaged.
        StoreError: there is no room, or the copy is damaged.
        OSError: the folder can't be written.
        Stopped: `stop` was set.
    """
    stop = stop or threading.Event()
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.glob(f"{UNFINISHED}*"):  # by a crash
        shutil.rmtree(left, ignore_errors=True)
    # A room of its own: one that was told to stop may still be at work when the next begins.
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as room:
        temporary = Path(room, "copy.db")
        with store.translated("the backup"):
            _copy(database, temporary, stop)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if stop.is_set():
            raise Stopped
        made = folder / datetime.fromtimestamp(now, UTC).strftime(NAME)
        temporary.rename(made)
    sync_folder(folder)
    for old in found(folder, now)[:-keep]:
        old.unlink()
    return made


def _copy(database: Path, target: Path, stop: threading.Event) -> None:
    with (
        contextlib.closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as live,
        contextlib.closing(apsw.Connection(str(target))) as copy,
    ):
        live.set_busy_timeout(int(store.BUSY_TIMEOUT * 1000))
        # Holds one view of the data: the copy does not start over with every write of the daemon.
        live.execute("BEGIN")
        live.execute("SELECT 1 FROM sqlite_master").get  # noqa: B018 - begins to read
        with copy.backup("main", live, "main") as backup:
            while not backup.done:
                if stop.is_set():
                    raise Stopped
                backup.step(PAGES)
        try:
            with store.translated("the copy"):
                copy.pragma("journal_mode", "delete")  # one file, that can be read without its room
                store.check(copy, "the copy")
        except DatabaseCorrupt as error:
            # Only then has the daemon to end: for a bad copy it would do so again and again.
            store.check(live, "the database")
            raise StoreError(f"{error}, and the database is not") from error


def due_in(folder: Path, every: float, now: float) -> float:
    """Seconds until the next backup is due; at most `every`, wherever the clock was."""
    newest = max((at for at, _ in _dated(folder) if not _is_ahead(at, now)), default=0.0)
    return min(max(newest + every - now, 0.0), every)


async def keep(
    live: store.Store, database: Path, folder: Path, *, every: float, count: int, clock: Clock
) -> None:
    """Make backups for as long as the daemon runs; one that fails is a warning, and tried again.

    Args:
        live: is told when its database turns out to be damaged.
        database: the file.
        folder: where backups are kept.
        every: seconds between two of them; 0 makes none.
        count: how many are kept.
        clock: where time comes from.
    """
    while every > 0:
        stop = threading.Event()
        try:
            if (left := due_in(folder, every, clock.time())) > 0:
                await asyncio.sleep(min(left, LOOK))
                continue
            made = await asyncio.to_thread(
                make, database, folder, keep=count, now=clock.time(), stop=stop
            )
            log.info("backup %s is made", made.name)
        except DatabaseCorrupt as error:
            live.fail(error)
            return
        except (StoreError, apsw.Error, OSError) as error:
            log.warning("no backup was made: %s", _reason(error))
            await asyncio.sleep(min(every, RETRY))
        finally:
            stop.set()


def _reason(error: Exception) -> str:
    """What failed, without the way to it."""
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}"
    return str(error)
