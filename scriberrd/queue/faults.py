"""What the errors of SQLite mean for us: those about files, locks and disks."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

import apsw

from scriberrd import errors

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def translated(name: str = "the database", db: apsw.Connection | None = None) -> Iterator[None]:
    """Turn apsw's errors about files, locks and disks into errors of our own."""
    try:
        yield
    except apsw.Error as error:
        passing = _passing(error, db) if isinstance(error, apsw.IOError) else None
        for kind, ours, advice in _CAUSES:
            if ours is passing or (passing is None and isinstance(error, kind)):
                raise ours(f"{name}: {error}; {advice}") from error
        raise  # a bug in this program, not a fault of the machine


_CAUSES: tuple[tuple[type[apsw.Error], type[errors.StoreError], str], ...] = (
    (apsw.FullError, errors.DiskFull, "make room"),
    (apsw.ReadOnlyError, errors.DatabaseReadOnly, "the file or its file system is read-only"),
    (apsw.BusyError, errors.DatabaseBusy, "another process holds the write lock"),
    (apsw.LockedError, errors.DatabaseBusy, "another connection holds the lock"),
    (apsw.NotADBError, errors.NotADatabase, "its header is damaged, or it never was a database"),
    (apsw.CantOpenError, errors.StoreError, "check daemon.state_dir and its permissions"),
    (apsw.IOError, errors.DiskFailed, "the disk fails"),
    (apsw.CorruptError, errors.DatabaseCorrupt, "the file is damaged"),
    (apsw.NoMemError, errors.StoreError, "out of memory"),
)


def _passing(error: apsw.IOError, db: apsw.Connection | None) -> type[errors.StoreError] | None:
    """The error for what SQLite calls an I/O error but what passes by itself; or None."""
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE:
        return errors.DiskFull
    if db is not None and db.system_errno == errno.EROFS:  # remounted while the file was open
        return errors.DatabaseReadOnly
    return None
