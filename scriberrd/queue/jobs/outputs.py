"""Which published file is whose: nobody's file is overwritten by another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from scriberrd.model import Stage
from scriberrd.queue import columns
from scriberrd.queue.jobs.rows import Lease, encode, write

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import apsw

    from scriberrd.model import Print
    from scriberrd.queue.columns import Output


def reserve(
    db: apsw.Connection, lease: Lease, names: Iterable[bytes], *, sharing: Collection[str] = ()
) -> dict[bytes, Output] | None:
    """Take these output names for the recording of this job.

    Args:
        db: the database.
        lease: of the run.
        names: relative to the output folder of its inbox.
        sharing: the other inboxes that have the same output folder.

    Returns:
        What is known of those names that this recording has taken before. None, with nothing
        taken, when a name is another recording's.
    """
    write(db, lease, {"stage": Stage.SAVING})
    inbox: str = db.execute("SELECT inbox FROM job WHERE id = ?", (lease.job,)).get
    inboxes = msgspec.json.encode([inbox, *sharing]).decode()
    known = {}
    for name in names:
        for *row, mine in db.execute(
            f"""
            SELECT {columns.OUTPUT_COLUMNS},
                   (coalesce(job.inbox, tombstone.inbox), coalesce(job.path, tombstone.path))
                   = (holder.inbox, holder.path)
                   AND (job.id IS NULL OR job.sha256 IS holder.sha256 OR NOT {columns.LEFT})
            FROM json_each(?) AS folder CROSS JOIN output ON output.inbox = folder.value
            JOIN job AS holder ON holder.id = ?
            LEFT JOIN job ON job.id = output.job LEFT JOIN tombstone ON tombstone.job = output.job
            WHERE output.name = ?
            """,
            (inboxes, lease.job, name),
        ).fetchall():
            if not mine:
                return None
            known[name] = columns.output(tuple(row))
    db.executemany(
        "INSERT INTO output (inbox, name, job) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET job = excluded.job",
        [(inbox, name, lease.job) for name in names],
    )
    return known


def begin(
    db: apsw.Connection, lease: Lease, prints: Mapping[bytes, Print], edited: Iterable[bytes]
) -> None:
    """Note what is about to be written under names that are taken, and what must not be.

    Args:
        db: the database.
        lease: of the run.
        prints: name -> what it gets.
        edited: the names of files that were published and that somebody has changed.
    """
    write(db, lease, {"stage": Stage.SAVING})
    for name, print_ in prints.items():
        db.execute(
            "UPDATE output SET edited = 0,"
            " prints = trim(:print || ' ' || replace(prints, :print, '')) WHERE job = :job"
            " AND name = :name",
            {"print": str(print_), "job": lease.job, "name": name},
        )
    for name in edited:
        db.execute("UPDATE output SET edited = 1 WHERE job = ? AND name = ?", (lease.job, name))


def published(
    db: apsw.Connection, lease: Lease, *, now: float, warnings: Sequence[str] = ()
) -> None:
    """The files are in place: they and their warnings are what the job has, until the next ones."""
    write(db, lease, {"published_at": now, "warnings": encode(warnings)})
    db.execute(
        "UPDATE output SET published = job, published_at = ?,"
        " prints = substr(prints, 1, instr(prints || ' ', ' ') - 1) WHERE job = ?",
        (now, lease.job),
    )


def unreserve(db: apsw.Connection, lease: Lease, names: Collection[bytes]) -> None:
    """Give back names that turned out to be somebody else's file, or are of no use any more."""
    write(db, lease, {"stage": Stage.SAVING})
    db.executemany(
        "DELETE FROM output WHERE job = ? AND name = ?", [(lease.job, name) for name in names]
    )


def unlisted(db: apsw.Connection, inbox: str, names: Iterable[bytes]) -> list[bytes]:
    """Those of these names under which no job is known to have an output."""
    query = "SELECT 1 FROM output WHERE inbox = ? AND name = ?"
    return [name for name in names if db.execute(query, (inbox, name)).get is None]


def mounts(db: apsw.Connection) -> list[bytes]:
    """Where something was mounted when files were published below."""
    return [path for (path,) in db.execute("SELECT path FROM mount")]


def note_mounts(db: apsw.Connection, places: Mapping[bytes, bool]) -> None:
    """Note of folders whether something is mounted there."""
    for place, mounted in places.items():
        if mounted:
            db.execute("INSERT INTO mount VALUES (?) ON CONFLICT DO NOTHING", (place,))
        else:
            db.execute("DELETE FROM mount WHERE path = ?", (place,))
