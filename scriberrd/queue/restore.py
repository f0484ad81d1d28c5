"""Open the database; after an unclean stop, check it, and restore a backup if it is damaged.

A mark in the state directory says that a daemon has the database open. If a daemon finds it at the
start, the one before was killed, or its disk failed: then the database is checked before it is
used. A damaged one is set aside with all its files, and the newest sound backup takes its place.

Without backups, a missing or empty file means a first start, and a file that is not a database may
be somebody else's and is left alone. With backups, there was a database of ours: it is restored.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scriberrd.errors import DatabaseCorrupt, DatabaseForeign, NotADatabase, StoreError
from scriberrd.files.names import sync_folder
from scriberrd.queue import backup
from scriberrd.queue.store import Store, renew

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

DATABASE = "scriberrd.db"
BACKUPS = "backups"
MARK = "in-use"
FILES = ("", "-wal", "-shm")  # suffixes of a database's files, in the order of moving them


@contextlib.contextmanager
def opened(state: Path, *, now: float) -> Iterator[Store]:
    """The database in a state directory that nobody else uses.

    Raises:
        StoreError: it can't be used, and is not a damaged one of ours.
        OSError: the state directory can't be written to.
    """
    path, mark = state / DATABASE, state / MARK
    unclean = mark.exists()
    mark.touch(mode=0o600)
    sync_folder(state)
    store = _open(path, unclean=unclean, now=now)
    try:
        yield store
    finally:
        store.close()
        if store.failure is None:
            try:
                mark.unlink()
            except OSError as error:  # must not hide why the daemon ends
                log.warning(
                    "can't remove %s, so the next start checks the database: %s", MARK, error
                )


def _open(path: Path, *, unclean: bool, now: float) -> Store:
    backups = backup.found(path.parent / BACKUPS, now)
    try:
        _refuse_lost(path, backups, unclean=unclean)
        return Store(path, check=unclean)
    except DatabaseCorrupt as error:
        if isinstance(error, NotADatabase) and not backups:
            raise DatabaseForeign(f"{error}; it was left untouched: move it away") from error
        aside = set_aside(path, now)
        log.error("%s; set aside as %s", error, aside.name)  # noqa: TRY400
    _restore(path, backups)
    return Store(path, check=True)


def _refuse_lost(path: Path, backups: list[Path], *, unclean: bool) -> None:
    """Raise DatabaseCorrupt where SQLite would create a new database and delete the old WAL."""
    if not path.exists():
        # Unclean: killed after setting it aside, before a backup took its place.
        if backups or unclean:
            raise DatabaseCorrupt(f"{path.name} is missing")
    elif backups and not path.stat().st_size:
        raise DatabaseCorrupt(f"{path.name} is empty")


def set_aside(path: Path, now: float) -> Path:
    """Rename a database and its WAL, because neither is worth anything without the other."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for suffix in FILES:
        # The database first: without its WAL it might look sound, and lack the latest jobs.
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    sync_folder(path.parent)
    return aside


def _restore(path: Path, backups: list[Path]) -> None:
    """Replace the database by the newest sound backup, if there is one."""
    for file in reversed(backups):
        try:
            backup.require_sound(file)
        except StoreError as error:
            log.error("backup %s can't be used: %s", file.name, error)  # noqa: TRY400
            continue
        _put(file, path)
        log.error("restored backup %s: newer recordings are found again in the inboxes", file.name)
        return
    log.error("there is no backup: starting a new queue with the recordings in the inboxes")


def _put(file: Path, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.restored")
    shutil.copyfile(file, temporary)
    renew(temporary)
    with temporary.open("rb") as copied:
        os.fsync(copied.fileno())
    temporary.rename(path)
    sync_folder(path.parent)
