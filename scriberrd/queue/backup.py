"""Back up the database while it is in use.

A backup is a single file. It is complete, durable and checked before it gets its name. It is copied
from one snapshot of the data, so that writers neither wait for it nor make it start over.
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
from scriberrd.queue.faults import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.model import Clock

log = logging.getLogger(__name__)

NAME = "scriberrd-%Y%m%dT%H%M%S.db"  # in UTC: names sort by time
UNFINISHED = "unfinished-"
PAGES = 256  # copied in one step
LOOK = 3600.0  # seconds between two looks at the clock, which may jump
AHEAD = 3600.0  # seconds that a clock may be set back without having been wrong
RETRY = 600.0  # seconds after a backup that failed


class Stopped(ScriberrdError):
    """The daemon stops, so the backup is abandoned."""


def found(folder: Path, now: float) -> list[Path]:
    """The backups in a folder, oldest first.

    Those dated later than `now` come before all others: the clock was wrong when they were made, so
    their age is unknown.
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
    """Check a backup that no daemon has open.

    Raises:
        StoreError: it is empty or damaged, or this scriberrd can't use it.
    """
    with translated(file.name):
        # Write nothing beside it: a backup is evidence too.
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
    database: Path,
    folder: Path,
    *,
    keep: int,
    now: float,
    stop: threading.Event | None = None,
    library: Path | None = None,
) -> Path:
    """Back up a database that may be in use, then remove the oldest backups.

    Args:
        database: the file.
        folder: the folder of the backups; it is created.
        keep: the number of backups to keep, including this one.
        now: the time.
        stop: another thread sets it to abandon the backup.
        library: the library's file, if it is to be copied as well: the latest copy is kept.

    Raises:
        DatabaseCorrupt: the database is damaged.
        StoreError: there is no space, or the copy is damaged.
        OSError: the folder can't be written to.
        Stopped: `stop` was set.
    """
    stop = stop or threading.Event()
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.glob(f"{UNFINISHED}*"):  # after a crash
        shutil.rmtree(left, ignore_errors=True)
    # A folder of its own: a backup that was told to stop may still run when the next begins.
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as room:
        temporary = Path(room, "copy.db")
        with translated("the backup"):
            _copy(database, temporary, stop)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if stop.is_set():
            raise Stopped
        made = folder / datetime.fromtimestamp(now, UTC).strftime(NAME)
        temporary.rename(made)
        if library is not None and library.exists():
            _copy_library(library, Path(room, "library.db"), folder / library.name, stop)
    sync_folder(folder)
    for old in found(folder, now)[:-keep]:
        old.unlink()
    return made


def _copy_library(library: Path, temporary: Path, copy: Path, stop: threading.Event) -> None:
    """Copy the library, which is a cache: if that fails it is no reason for anything."""
    try:
        with translated("the copy of the library"):
            _copy(library, temporary, stop)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(copy)
    except (StoreError, apsw.Error, OSError) as error:
        log.warning("can't back up the library: %s", _reason(error))


def _copy(database: Path, target: Path, stop: threading.Event) -> None:
    with (
        contextlib.closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as live,
        contextlib.closing(apsw.Connection(str(target))) as copy,
    ):
        live.set_busy_timeout(int(store.BUSY_TIMEOUT * 1000))
        # One snapshot of the data: otherwise each write of the daemon would restart the copy.
        live.execute("BEGIN")
        live.execute("SELECT 1 FROM sqlite_master").get  # noqa: B018 - takes the snapshot
        with copy.backup("main", live, "main") as backup:
            while not backup.done:
                if stop.is_set():
                    raise Stopped
                backup.step(PAGES)
        try:
            with translated("the copy"):
                copy.pragma("journal_mode", "delete")  # a single file
                store.check(copy, "the copy")
        except DatabaseCorrupt as error:
            # Only a damaged database may end the daemon: a bad copy would do so again and again.
            store.check(live, "the database")
            raise StoreError(f"{error}, but the database is sound") from error


def due_in(folder: Path, every: float, now: float) -> float:
    """Seconds until the next backup is due; at most `every`, even if the clock was wrong."""
    newest = max((at for at, _ in _dated(folder) if not _is_ahead(at, now)), default=0.0)
    return min(max(newest + every - now, 0.0), every)


async def keep(
    live: store.Store,
    database: Path,
    folder: Path,
    *,
    every: float,
    count: int,
    clock: Clock,
    library: Path | None = None,
) -> None:
    """Make backups for as long as the daemon runs; a failed one is logged and retried.

    Args:
        live: fails when its database turns out to be damaged.
        database: the file.
        folder: the folder of the backups.
        every: seconds between two backups; 0 makes none.
        count: the number of backups to keep.
        clock: the source of time.
        library: as for `make`.
    """
    while every > 0:
        stop = threading.Event()
        try:
            if (left := due_in(folder, every, clock.time())) > 0:
                await asyncio.sleep(min(left, LOOK))
                continue
            made = await asyncio.to_thread(
                make, database, folder, keep=count, now=clock.time(), stop=stop, library=library
            )
            log.info("created backup %s", made.name)
        except DatabaseCorrupt as error:
            live.fail(error)
            return
        except (StoreError, apsw.Error, OSError) as error:
            log.warning("can't back up the database: %s", _reason(error))
            await asyncio.sleep(min(every, RETRY))
        finally:
            stop.set()


def _reason(error: Exception) -> str:
    """The error, with file names but no paths."""
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}"
    return str(error)
