"""What is to become of recordings whose jobs have ended: rows that are carried out later.

A row outlives its job. It goes in the transaction that notes what became of the recording.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from scriberrd.errors import IllegalMove
from scriberrd.failures import left
from scriberrd.model import JobState, display
from scriberrd.queue import columns
from scriberrd.queue.jobs.rows import encode, record_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from scriberrd.model import Identity, Job, Leaving

# Not the recording is at fault, or nobody has read it: it stays where it is.
STAYING = frozenset(
    {
        *("unreadable", "source_missing", "not_regular", "bad_sidecar", "too_large", "read_failed"),
        *("unsupported_setting", "diarizer_unusable", "internal_error"),
    }
)
HELD, AIMED = 1, 2  # how far it has begun: it may have its private name; and `target` is a free one


class Disposal(NamedTuple):
    """A recording that is to leave its inbox."""

    job: int
    inbox: str
    path: bytes
    identity: Identity
    sha256: str  # only these bytes leave
    action: str  # as in model.Leaving; or "upload": delete it, if it still is our own copy
    token: str  # of its private name
    target: bytes | None  # the name that it is to get in the archive
    begun: int
    tries: int
    error: str  # of the latest try; for people


class Hindrance(NamedTuple):
    """What keeps recordings from leaving their inbox."""

    inbox: str
    error: str  # for people
    number: int  # of recordings
    since: float  # when the first of them was to leave
    due: float  # when the next of them is tried again


def leave(db: apsw.Connection, job: Job, leaving: Leaving | None, now: float) -> None:
    """Note how the recording of a job that ends is to leave its inbox, if it does.

    What an earlier end of the job had noted is void, unless it is under way. A recording that has
    left does not leave twice.
    """
    if leaving is None or job.sha256 is None or job.disposed is not None:
        # A transcript that is only written again changes nothing of where its recording goes.
        db.execute(
            "DELETE FROM disposal WHERE job = ? AND begun = 0 AND action = 'quarantine'", (job.id,)
        )
        return
    db.execute(
        """
        INSERT INTO disposal (job, inbox, path, identity, sha256, action, token, target, due)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET (path, identity, sha256, action, target, due, tries)
            = (excluded.path, excluded.identity, excluded.sha256, excluded.action,
               excluded.target, excluded.due, 0)
        WHERE begun = 0
        """,
        (
            *(job.id, job.inbox, job.path, encode(job.identity), job.sha256, leaving.action),
            *(secrets.token_hex(8), leaving.target, now),
        ),
    )


def mark_uploaded(db: apsw.Connection, id_: int, inode: int) -> None:
    """The file of a job is a copy that we have made, unless another file has its name by now."""
    db.execute("UPDATE job SET uploaded = 1 WHERE id = ? AND identity ->> 1 = ?", (id_, inode))


def let_uploads_leave(db: apsw.Connection, before: float, now: float, most: int) -> list[str]:
    """Note of our copies of recordings that were completed before a time that they are to leave.

    Args:
        db: the database.
        before: the time.
        now: the time now.
        most: how many at most.

    Returns:
        The recordings, as "inbox/path".
    """
    rows = db.execute(
        """
        INSERT INTO disposal (job, inbox, path, identity, sha256, action, token, due)
        SELECT id, inbox, path, identity, sha256, 'upload', lower(hex(randomblob(8))), :now
        FROM job WHERE uploaded = 1 AND disposed IS NULL AND finished_at < :before
            AND state = 'completed' AND sha256 IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM disposal WHERE disposal.job = id)
        ORDER BY finished_at LIMIT :most RETURNING inbox, path
        """,
        {"before": before, "now": now, "most": most},
    )
    return [f"{inbox}/{display(path)}" for inbox, path in rows]


def come_back(db: apsw.Connection, job: Job, leaving: Leaving | None, now: float) -> None:
    """The recording of a completed job, which had left, lies in its inbox again: let it leave.

    The job may be forgotten.
    """
    _note(db, job.id, None)
    state = db.execute("SELECT state FROM job WHERE id = ?", (job.id,)).get
    if state in {None, JobState.COMPLETED}:
        leave(db, replace(job, disposed=None), leaving, now)


def require_there(job: Job, verb: str) -> None:
    """See that a recording has not left its inbox: IllegalMove if it has."""
    if job.disposed is not None:
        raise IllegalMove(job.id, job.state, f"{verb} but by --stage merge: {left(job.disposed)}")


def stay(db: apsw.Connection, job: Job, verb: str) -> None:
    """Keep the recording of a job that starts again: IllegalMove if it is on its way already."""
    begun = db.execute("SELECT begun FROM disposal WHERE job = ?", (job.id,)).get
    if begun:
        raise IllegalMove(job.id, job.state, f"{verb}: its recording is being moved away")
    db.execute("DELETE FROM disposal WHERE job = ?", (job.id,))


# What a live job may still want stays.
_DUE = """
    FROM disposal LEFT JOIN job ON job.id = disposal.job
    WHERE (job.id IS NULL OR job.finished_at NOT NULL) AND disposal.inbox = ? AND due {} ?
    ORDER BY due LIMIT 1
"""


def leaving(
    db: apsw.Connection, inboxes: Iterable[str], now: float
) -> tuple[list[Disposal], float | None]:
    """The recording of each of these inboxes that is to leave now, and when others are due."""
    rows, later = [], []
    for name in inboxes:
        row = db.execute(
            "SELECT job, disposal.inbox, disposal.path, disposal.identity, disposal.sha256, action,"
            f" token, target, begun, tries, error {_DUE.format('<=')}",
            (name, now),
        ).get
        if row is not None:
            job, inbox, path, identity, *others = row
            rows.append(Disposal(job, inbox, path, columns.identity(identity), *others))
        due = db.execute(f"SELECT due {_DUE.format('>')}", (name, now)).get
        if due is not None:
            later.append(due)
    return rows, min(later, default=None)


def leaving_count(db: apsw.Connection, inboxes: Iterable[str]) -> int:
    """How many recordings are to leave these inboxes, or are on their way."""
    query = "SELECT count(*) FROM disposal WHERE inbox = ?"
    return sum(db.execute(query, (name,)).get for name in inboxes)


def are_leaving(db: apsw.Connection, inbox: str, tokens: Iterable[str]) -> set[str]:
    """Those of these tokens that belong to a recording on its way out of this inbox."""
    query = "SELECT 1 FROM disposal WHERE (inbox, token) = (?, ?)"
    return {token for token in tokens if db.execute(query, (inbox, token)).get is not None}


def call_off(db: apsw.Connection, token: str) -> None:
    """Forget of a recording that it was to leave: it has its name again."""
    db.execute("DELETE FROM disposal WHERE token = ?", (token,))


def hindered(db: apsw.Connection) -> list[Hindrance]:
    """Everything that keeps recordings from leaving."""
    query = """
        SELECT disposal.inbox, disposal.error, count(*),
            min(coalesce(job.finished_at, due)), min(due)
        FROM disposal LEFT JOIN job ON job.id = disposal.job
        WHERE disposal.error <> '' GROUP BY disposal.inbox, disposal.error
        """
    return [Hindrance(*row) for row in db.execute(query)]


def leave_now(db: apsw.Connection, now: float) -> None:
    """What was put off is due."""
    db.execute("UPDATE disposal SET due = ? WHERE error <> '' AND due > ?", (now, now))


def has_warnings(db: apsw.Connection, id_: int) -> bool:
    """Whether the transcript of a job has warnings, or it is not known any more whether it has."""
    warnings: str | None = db.execute("SELECT warnings FROM job WHERE id = ?", (id_,)).get
    return warnings != "[]"


def hold(db: apsw.Connection, id_: int) -> bool:
    """The recording of a job is about to get its private name; False: it is to stay after all."""
    db.execute("UPDATE disposal SET begun = max(begun, ?) WHERE job = ?", (HELD, id_))
    return db.changes() == 1


def aim(db: apsw.Connection, id_: int, target: bytes) -> None:
    """The recording of a job is about to get this name in the archive."""
    db.execute("UPDATE disposal SET begun = ?, target = ? WHERE job = ?", (AIMED, target, id_))


def put_off(db: apsw.Connection, id_: int, error: str, due: float, *, back: bool) -> None:
    """It is tried again later.

    Args:
        db: the database.
        id_: of the job.
        error: what hinders it, for people.
        due: when it is tried again.
        back: the recording has its own name again.
    """
    db.execute(
        "UPDATE disposal SET tries = tries + 1, error = ?, due = ?,"
        " begun = iif(?, 0, begun) WHERE job = ?",
        (error, due, back, id_),
    )


def disposed(
    db: apsw.Connection, row: Disposal, what: str, now: float, to: bytes | None = None
) -> None:
    """The recording has left.

    Args:
        db: the database.
        row: of the recording.
        what: became of it: "deleted", "archived" ...
        now: the time.
        to: its name in the archive.
    """
    text = what if to is None else f"{what} {display(to)}"
    _note(db, row.job, text)
    id_, of = _end(db, row)
    name = None if to is None else display(to)
    record_event(db, id_, "disposed", now, action=what, to=name, **of)


def kept(db: apsw.Connection, row: Disposal, why: str, now: float) -> None:
    """The recording stays after all."""
    if row.action == "upload" and why != "configuration":  # it is somebody's own now
        db.execute("UPDATE job SET uploaded = 0 WHERE id = ?", (row.job,))
    id_, of = _end(db, row)
    record_event(db, id_, "kept", now, why=why, **of)


def _note(db: apsw.Connection, id_: int, disposed: str | None) -> None:
    """Note what became of the recording of a job, forgotten or not."""
    db.execute("UPDATE job SET disposed = ? WHERE id = ?", (disposed, id_))
    db.execute("UPDATE tombstone SET disposed = ? WHERE job = ?", (disposed, id_))


def _end(db: apsw.Connection, row: Disposal) -> tuple[int | None, dict[str, str | int]]:
    """Forget the row: gives its job, or what an event says of one that is forgotten."""
    db.execute("DELETE FROM disposal WHERE job = ?", (row.job,))
    if db.execute("SELECT 1 FROM job WHERE id = ?", (row.job,)).get is not None:
        return row.job, {}
    return None, {"id": row.job, "inbox": row.inbox, "path": display(row.path)}
