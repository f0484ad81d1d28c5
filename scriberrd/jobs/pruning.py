"""What is forgotten, by age or by order, and what is kept of it.

Of a forgotten job stays what tells that its recording is no news, and which files are its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scriberrd import listing
from scriberrd.errors import IllegalMove
from scriberrd.jobs.rows import tell
from scriberrd.model import TERMINAL, display

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from scriberrd.listing import Output
    from scriberrd.model import Job


def prune(db: apsw.Connection, before: float, limit: int, *, now: float) -> int:
    """Forget jobs that ended before a time, with their runs and events.

    Of several jobs about a recording the oldest goes first: the newest knows its latest version.
    One that failed stays until somebody retries or removes it, and with it the later ones.

    Returns:
        How many: fewer than `limit` when no more are due.
    """
    due: list[Any] = db.execute(
        """
        SELECT id, inbox, path FROM job WHERE finished_at < ? AND state <> 'failed' AND NOT EXISTS (
            SELECT 1 FROM job AS older
            WHERE older.inbox = job.inbox AND older.path = job.path AND older.id < job.id)
        ORDER BY finished_at LIMIT ?
        """,
        (before, limit),
    ).fetchall()
    forget(db, due)
    for id_, inbox, path in due:
        tell(db, None, "pruned", now, id=id_, inbox=inbox, path=display(path))
    return len(due)


def remove(db: apsw.Connection, id_: int, now: float) -> Job:
    """Forget an ended job now, with all earlier ones about its recording.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has not ended.
    """
    job = listing.get(db, id_)
    if job.state not in TERMINAL:
        raise IllegalMove(id_, job.state, "be removed")
    due = db.execute(
        "SELECT id FROM job WHERE inbox = ? AND path = ? AND id <= ? ORDER BY id",
        (job.inbox, job.path, id_),
    ).fetchall()
    forget(db, due)
    for (gone,) in due:
        tell(db, None, "removed", now, id=gone, inbox=job.inbox, path=display(job.path))
    return job


def forget(db: apsw.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Forget jobs, each the oldest about its recording by then; the newest gets its files."""
    for id_, *_ in rows:
        newest = db.execute(
            "SELECT max(newer.id) FROM job JOIN job AS newer USING (inbox, path) WHERE job.id = ?",
            (id_,),
        ).get
        if newest == id_:
            db.execute(
                "INSERT INTO seen"
                " SELECT id, inbox, path, identity, sha256, state, lease, finished_at"
                " FROM job WHERE id = ?",
                (id_,),
            )
        else:
            db.execute("UPDATE output SET job = ? WHERE job = ?", (newest, id_))
        db.execute("DELETE FROM job WHERE id = ?", (id_,))


def prune_events(db: apsw.Connection, before: float, limit: int) -> int:
    """Forget events that happened before a time; how many.

    All are looked at: the clock may have been ahead when the first ones happened.
    """
    db.execute(
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < ? ORDER BY id LIMIT ?)",
        (before, limit),
    )
    return db.changes()


def revive(db: apsw.Connection, inbox: str, path: bytes, forgotten: dict[str, Any]) -> Job | None:
    """Bring a pruned job back, because its recording comes up again; None if there was none.

    Args:
        db: the database.
        inbox: where the recording lies.
        path: relative to it.
        forgotten: `profile`, `settings` and `priority`, which the job has lost.
    """
    id_ = db.execute(
        """
        INSERT INTO job (id, state, lease, inbox, path, identity, sha256, profile, settings,
                         priority, created_at, queued_at, finished_at)
        SELECT job, state, lease, inbox, path, identity, sha256, :profile, :settings,
               :priority, finished_at, finished_at, finished_at
        FROM seen WHERE inbox = :inbox AND path = :path RETURNING id
        """,
        forgotten | {"inbox": inbox, "path": path},
    ).get
    if id_ is None:
        return None
    db.execute("DELETE FROM seen WHERE job = ?", (id_,))
    return listing.get(db, id_)


class Aged(NamedTuple):
    """A published file, and when its job ended."""

    at: float
    output: Output


def published_before(
    db: apsw.Connection, before: float, after: Aged | None, limit: int
) -> list[Aged]:
    """Published files of jobs that ended before a time, pruned or not, the oldest first.

    Those of a job that is done anew are still wanted.

    Args:
        db: the database.
        before: the time.
        after: the one that the list begins after.
        limit: how many at most.
    """
    start = (-1.0, "", b"") if after is None else (after.at, after.output.inbox, after.output.name)
    rows = db.execute(
        f"""
        SELECT published_at, {listing.OUTPUT_COLUMNS} FROM output
        WHERE published_at < ? AND (published_at, output.inbox, name) > (?, ?, ?)
              AND NOT EXISTS (SELECT 1 FROM job WHERE id = output.job AND finished_at IS NULL)
        ORDER BY published_at, output.inbox, name LIMIT ?
        """,
        (before, *start, limit),
    )
    return [Aged(at, listing.output(tuple(row))) for at, *row in rows]


def forget_outputs(db: apsw.Connection, outputs: Iterable[Output]) -> None:
    """These files were deleted: whatever gets their names is not ours."""
    db.executemany(
        "DELETE FROM output WHERE inbox = ? AND name = ?",
        [(output.inbox, output.name) for output in outputs],
    )
