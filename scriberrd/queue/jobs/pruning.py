"""What is forgotten, by age or by order, and what is kept of it.

Of a forgotten job stays what tells that its recording is no news, and which files are its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scriberrd.errors import IllegalMove
from scriberrd.model import TERMINAL, Priority, display
from scriberrd.queue import columns, queries
from scriberrd.queue.jobs.rows import record_event, require_newest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import apsw

    from scriberrd.model import Job
    from scriberrd.queue.columns import Output


def prune(
    db: apsw.Connection, ids: Iterable[int], before: float, *, now: float, uploads: bool = False
) -> list[str]:
    """Forget those of these jobs that ended before a time, with their runs; events stay.

    Of several jobs about a recording the oldest goes first: the newest knows its latest version.
    One that failed stays until somebody retries or removes it, and with it the later ones.

    Args:
        db: the database.
        ids: of the jobs.
        before: the time.
        now: the time now.
        uploads: those whose recordings are our own copies stay until these are deleted.

    Returns:
        Their recordings, as "inbox/path".
    """
    gone = []
    for id_ in ids:
        due = db.execute(
            """
            SELECT inbox, path FROM job
            WHERE id = ? AND finished_at < ? AND state <> 'failed'
            AND NOT (? AND state = 'completed' AND uploaded = 1 AND disposed IS NULL)
            AND NOT EXISTS (
                SELECT 1 FROM job AS older
                WHERE older.inbox = job.inbox AND older.path = job.path AND older.id < job.id)
            """,
            (id_, before, uploads),
        ).get
        if due is not None:
            inbox, path = due
            forget(db, [(id_,)])
            record_event(db, None, "pruned", now, id=id_, inbox=inbox, path=display(path))
            gone.append(f"{inbox}/{display(path)}")
    return gone


def ended_before(
    db: apsw.Connection, before: float, after: tuple[float, int], limit: int
) -> list[tuple[float, int]]:
    """When jobs ended that did so before a time, and their ids, in that order.

    Args:
        db: the database.
        before: the time.
        after: the last one that is known.
        limit: how many at most.
    """
    rows: list[Any] = db.execute(
        "SELECT finished_at, id FROM job WHERE finished_at < ? AND (finished_at, id) > (?, ?)"
        " ORDER BY finished_at, id LIMIT ?",
        (before, *after, limit),
    ).fetchall()
    return rows


def remove(db: apsw.Connection, id_: int, now: float) -> Job:
    """Forget an ended job now, with all earlier ones about its recording.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has not ended.
    """
    job = queries.get(db, id_)
    if job.state not in TERMINAL:
        raise IllegalMove(id_, job.state, "be removed")
    due = db.execute(
        "SELECT id FROM job WHERE inbox = ? AND path = ? AND id <= ? ORDER BY id",
        (job.inbox, job.path, id_),
    ).fetchall()
    forget(db, due)
    for (gone,) in due:
        record_event(db, None, "removed", now, id=gone, inbox=job.inbox, path=display(job.path))
    return job


def purgeable(db: apsw.Connection, id_: int) -> list[str]:
    """The SHA-256 of all versions of a recording that go with its newest job, removed or not.

    Those that have left its inbox were recordings of their own: they stay.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has not ended, or a newer job has its recording.
    """
    removed = db.execute("SELECT 1, sha256 FROM tombstone WHERE job = ?", (id_,)).get
    if removed is not None:
        _, sha256 = removed
        return [] if sha256 is None else [sha256]
    job = queries.get(db, id_)
    if job.state not in TERMINAL:
        raise IllegalMove(id_, job.state, "be removed")
    require_newest(db, job, "be purged")
    rows = db.execute(
        "SELECT DISTINCT sha256 FROM job WHERE inbox = ? AND path = ? AND sha256 IS NOT NULL"
        f" AND (sha256 IS ? OR NOT {columns.LEFT})",
        (job.inbox, job.path, job.sha256),
    )
    return [sha256 for (sha256,) in rows]


def purge(db: apsw.Connection, id_: int, now: float) -> Job:
    """Remove a job so that nobody redoes it, or find what is left of one that was removed.

    Raises:
        JobNotFound, IllegalMove: see `purgeable`.
    """
    purgeable(db, id_)
    of = db.execute("SELECT inbox, path FROM tombstone WHERE job = ?", (id_,)).get
    if of is None:
        return remove(db, id_, now)
    inbox, path = of
    nothing = {"profile": "", "settings": "{}", "priority": Priority.NORMAL}
    job = revive(db, inbox, path, nothing) or queries.get(db, id_)
    forget(db, [(id_,)])
    return job


def forget(db: apsw.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Forget jobs, each the oldest about its recording by then; the newest gets its files.

    Not those of another recording that has left: they are nobody's from then on.
    """
    for id_, *_ in rows:
        newest = db.execute(
            "SELECT max(newer.id) FROM job JOIN job AS newer USING (inbox, path) WHERE job.id = ?",
            (id_,),
        ).get
        if newest == id_:
            db.execute(
                "INSERT INTO tombstone"
                " SELECT id, inbox, path, identity, sha256, state, lease, finished_at, disposed"
                " FROM job WHERE id = ?",
                (id_,),
            )
        else:
            db.execute(
                "UPDATE output SET job = :newest WHERE job = (SELECT id FROM job WHERE id = :id AND"
                f" (sha256 IS (SELECT sha256 FROM job WHERE id = :newest) OR NOT {columns.LEFT}))",
                {"newest": newest, "id": id_},
            )
        db.execute("DELETE FROM job WHERE id = ?", (id_,))


def event_times(db: apsw.Connection, after: int, limit: int) -> list[tuple[int, float]]:
    """The ids and times of events with ids greater than `after`, oldest first.

    Without the latest of all: that stays, to tell how late it is at least.
    """
    rows: list[Any] = db.execute(
        "SELECT id, at FROM event WHERE id > ? AND id < (SELECT max(id) FROM event)"
        " ORDER BY id LIMIT ?",
        (after, limit),
    ).fetchall()
    return rows


def prune_events(db: apsw.Connection, ids: Collection[int]) -> None:
    """Forget these events, and that there were some."""
    db.executemany("DELETE FROM event WHERE id = ?", [(id_,) for id_ in ids])
    db.execute("UPDATE stream SET pruned = max(pruned, ?)", (max(ids),))


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
                         priority, created_at, queued_at, finished_at, published_at, disposed)
        SELECT job, state, lease, inbox, path, identity, sha256, :profile, :settings,
               :priority, finished_at, finished_at, finished_at,
               iif(state = 'completed', finished_at, NULL), disposed
        FROM tombstone WHERE inbox = :inbox AND path = :path RETURNING id
        """,
        forgotten | {"inbox": inbox, "path": path},
    ).get
    if id_ is None:
        return None
    db.execute("DELETE FROM tombstone WHERE job = ?", (id_,))
    return queries.get(db, id_)


def believe(db: apsw.Connection, now: float) -> None:
    """Note a time that it is not before, whatever a clock says that may be ahead."""
    db.execute("UPDATE stream SET believed = ?", (now,))


class Aged(NamedTuple):
    """A published file, and when it was published."""

    at: float
    output: Output
    path: bytes  # of the recording
    sha256: str | None  # of its bytes


# Those of a job that is done anew are still wanted.
_AGED = f"""
    SELECT output.published_at, {columns.OUTPUT_COLUMNS},
           coalesce(job.path, tombstone.path, output.name),
           coalesce(job.sha256, tombstone.sha256)
    FROM output LEFT JOIN job ON job.id = output.job
    LEFT JOIN tombstone ON tombstone.job = output.job
    WHERE output.published_at < ? AND (output.published_at, output.inbox, output.name) > (?, ?, ?)
          AND (job.id IS NULL OR job.finished_at IS NOT NULL)
    ORDER BY output.published_at, output.inbox, output.name LIMIT ?
"""


def published_before(
    db: apsw.Connection, before: float, after: Aged | None, limit: int
) -> list[Aged]:
    """Published files from before a time, of jobs pruned or not, the oldest first.

    Args:
        db: the database.
        before: the time.
        after: the one that the list begins after.
        limit: how many at most.
    """
    start = (-1.0, "", b"") if after is None else (after.at, after.output.inbox, after.output.name)
    rows = db.execute(_AGED, (before, *start, limit))
    return [Aged(at, columns.output(tuple(row)), path, sha256) for at, *row, path, sha256 in rows]


def is_aged(db: apsw.Connection, aged: Aged) -> bool:
    """Whether a published file is as it was listed: nobody publishes it anew, or has done so."""
    row = db.execute(
        "SELECT 1 FROM output LEFT JOIN job ON job.id = output.job"
        " WHERE (output.inbox, name, output.published_at) = (?, ?, ?)"
        " AND (job.id IS NULL OR finished_at IS NOT NULL)",
        (aged.output.inbox, aged.output.name, aged.at),
    ).get
    return row is not None


def forget_output(db: apsw.Connection, output: Output) -> None:
    """This file was deleted: whatever gets its name is not ours."""
    db.execute("DELETE FROM output WHERE inbox = ? AND name = ?", (output.inbox, output.name))
