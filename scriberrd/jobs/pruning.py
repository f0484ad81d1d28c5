"""What is forgotten, by age or by order, and what is kept of it.

Of a forgotten job stays what tells that its recording is no news, and which files are its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scriberrd import listing
from scriberrd.errors import IllegalMove
from scriberrd.jobs.rows import tell
from scriberrd.listing import Output
from scriberrd.model import TERMINAL, display

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

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


def published_before(db: apsw.Connection, before: float, after: bytes, limit: int) -> list[Output]:
    """Published files of jobs that ended before a time, pruned or not.

    Args:
        db: the database.
        before: the time.
        after: the path that the list begins after; they come in the order of their paths.
        limit: how many at most.
    """
    rows = db.execute(
        """
        SELECT output.path, output.name FROM output
        LEFT JOIN job ON job.id = output.job LEFT JOIN seen ON seen.job = output.job
        WHERE output.path > ? AND published AND coalesce(job.finished_at, seen.finished_at) < ?
        ORDER BY output.path LIMIT ?
        """,
        (after, before, limit),
    )
    return [Output(*row) for row in rows]


def forget_outputs(db: apsw.Connection, paths: Iterable[bytes]) -> None:
    """These files were deleted: whatever gets their names is not ours."""
    db.executemany("DELETE FROM output WHERE path = ?", [(path,) for path in paths])
