"""Which published file is whose: nobody's file is overwritten by another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.jobs.rows import Hold, write
from scriberrd.model import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import apsw


def reserve(
    db: apsw.Connection,
    hold: Hold,
    names: Mapping[bytes, bytes],
    hashes: Mapping[bytes, str] | None = None,
) -> set[bytes] | None:
    """Take these output names for this recording.

    Args:
        db: the database.
        hold: of the run.
        names: absolute path -> name in the output folder.
        hashes: absolute path -> SHA-256 of what is about to be written there.

    Returns:
        The names under which it has published before, in this or an earlier job: they may be
        overwritten. None, with nothing taken, when a name is another recording's.
    """
    write(db, hold, {"stage": Stage.SAVING})
    published = set()
    for path, name in names.items():
        row = db.execute(
            "SELECT (coalesce(job.inbox, seen.inbox), coalesce(job.path, seen.path))"
            " = (SELECT inbox, path FROM job WHERE id = ?), published FROM output"
            " LEFT JOIN job ON job.id = output.job LEFT JOIN seen ON seen.job = output.job"
            " WHERE output.path = ?",
            (hold.job, path),
        ).get
        if row is None:
            continue
        mine, is_published = row
        if not mine:
            return None
        if is_published:
            published.add(name)
    db.executemany(
        "INSERT INTO output (path, name, job, sha256) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (path) DO UPDATE SET job = excluded.job,"
        " sha256 = trim(replace(sha256, excluded.sha256, '') || ' ' || excluded.sha256)",
        [(path, name, hold.job, (hashes or {}).get(path, "")) for path, name in names.items()],
    )
    return published


def written(db: apsw.Connection, paths: Iterable[bytes]) -> dict[bytes, list[str]]:
    """Path -> the SHA-256 of what was published there, or of all that runs began to write there."""
    query = "SELECT sha256 FROM output WHERE path = ?"
    return {path: (db.execute(query, (path,)).get or "").split() for path in paths}


def unreserve(db: apsw.Connection, hold: Hold, paths: Collection[bytes]) -> None:
    """Give back names that turned out to be somebody else's file."""
    write(db, hold, {"stage": Stage.SAVING})
    db.executemany(
        "DELETE FROM output WHERE path = ? AND job = ?", [(path, hold.job) for path in paths]
    )


def listed(db: apsw.Connection, path: bytes) -> bool:
    """Whether a file is known as the output of any job."""
    return db.execute("SELECT 1 FROM output WHERE path = ?", (path,)).get is not None
