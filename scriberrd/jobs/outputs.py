"""Which published file is whose: nobody's file is overwritten by another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.jobs.rows import Hold, write
from scriberrd.model import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import apsw


def reserve(db: apsw.Connection, hold: Hold, names: Mapping[bytes, bytes]) -> set[bytes] | None:
    """Take these output names (absolute path -> name in the output folder) for this recording.

    Returns:
        The names that were its own before, in this or an earlier job; None, with nothing taken,
        when one of them is another recording's.
    """
    write(db, hold, {"stage": Stage.SAVING})
    mine = set()
    for path, name in names.items():
        owner = db.execute(
            "SELECT (job.inbox, job.path) = (SELECT inbox, path FROM job WHERE id = ?)"
            " FROM output JOIN job ON job.id = output.job WHERE output.path = ?",
            (hold.job, path),
        ).get
        if owner == 0:
            return None
        if owner == 1:
            mine.add(name)
    db.executemany(
        "INSERT OR REPLACE INTO output VALUES (?, ?, ?)",
        [(path, name, hold.job) for path, name in names.items()],
    )
    return mine


def unreserve(db: apsw.Connection, hold: Hold, paths: Collection[bytes]) -> None:
    """Give back names that turned out to be somebody else's file."""
    write(db, hold, {"stage": Stage.SAVING})
    db.executemany(
        "DELETE FROM output WHERE path = ? AND job = ?", [(path, hold.job) for path in paths]
    )
