"""Which job a worker gets next. No claim takes longer because more jobs are queued or finished.

Priority decides, and a waiting job climbs. Within a priority a worker may prefer the model that it
has loaded; then the inbox goes first whose latest claim is the longest ago, and within an inbox the
job that was queued first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scriberrd.model import Priority
from scriberrd.queue import queries
from scriberrd.queue.jobs.rows import encode, record_event, update
from scriberrd.queue.transactions import savepoint

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from scriberrd.model import Job

# The index of the order begins with `finished_at`, which live jobs have none of.
_QUEUED = "finished_at IS NULL AND state = 'queued'"

# The retries that are due. A time too far ahead was set before the clock was set back.
_DUE = f"""
    SELECT id, inbox, priority, put_off FROM job
    WHERE {_QUEUED} AND not_before > 0 AND not_before <= :now
    UNION ALL
    SELECT id, inbox, priority, put_off FROM job
    WHERE {_QUEUED} AND not_before > :now + :longest
"""

# Queued while the clock was ahead: it would stay behind all others, and never climb.
_AHEAD = f"""
    SELECT job.id FROM turn, (VALUES (0), (1), (2), (3)) AS level CROSS JOIN job
    WHERE {_QUEUED} AND not_before = 0
          AND job.inbox = turn.inbox AND priority = level.column1 AND queued_at > :now
    LIMIT :limit
"""

_OPEN = """
    NOT EXISTS (SELECT 1 FROM pause WHERE (kind, name) = ('everything', ''))
    AND NOT EXISTS (SELECT 1 FROM pause WHERE (kind, name) = ('inbox', turn.inbox))
"""

# Of an inbox's jobs with one priority, the head has waited the longest and climbed the highest:
# the heads alone are enough to choose from, unless a worker looks for one with its model: then a
# few behind each head, too. A job climbs to high (1) at most.
_NEXT = f"""
    SELECT job.id FROM turn, (VALUES (0), (1), (2), (3)) AS level CROSS JOIN job
    WHERE {_OPEN} AND NOT EXISTS (SELECT 1 FROM pause WHERE (kind, name) = ('worker', :pool))
          AND job.id IN (
              SELECT id FROM job
              WHERE {_QUEUED} AND not_before = 0
                    AND job.inbox = turn.inbox AND priority = level.column1
              ORDER BY queued_at, created_at, id LIMIT :look
          )
    ORDER BY
        CASE WHEN priority <= 1 OR :ageing = 0 THEN priority
        ELSE max(1, priority - CAST(max(0, :now - queued_at) / :ageing AS INTEGER)) END,
        (settings ->> 'engine', settings ->> 'model', fallbacks)
            IS NOT (:engine, :model, :fallbacks),
        turn.claimed, queued_at, created_at, job.id
    LIMIT 1
"""


LOOK = 16  # jobs of each inbox and priority among which one with the model at hand is looked for
AT_ONCE = 200  # jobs that are moved in one transaction: others have to write too


class NotNow(Exception):
    """The next job waits for another one to end, and those behind it wait for their turn."""


class _PutOff(Exception):
    def __init__(self, job: Job, seconds: float) -> None:
        self.job, self.seconds = job, seconds


def _always(_: Job) -> float:
    return 0.0


def claim(  # noqa: PLR0913 - all that a claim depends on
    db: apsw.Connection,
    worker: str,
    *,
    now: float,
    expires: float,
    longest: float,
    pool: str = "",
    ageing: float = 0.0,
    like: Job | None = None,
    admit: Callable[[Job], float] = _always,
) -> Job | None:
    """Give the next job that is due to a worker, unless what it belongs to is paused.

    None means that there is none, or that many were put off and it is to be called again.

    Args:
        db: the database.
        worker: the name of the worker, for the record.
        now: the time.
        expires: on the monotonic clock: when the lease ends unless it is renewed.
        longest: seconds that a retry waits at most. One that seems to wait longer was put off
            before the clock was set back: it is due.
        pool: the name of the pool that the worker belongs to.
        ageing: seconds that a job waits until it climbs by one priority; 0: it never does.
        like: one with the same model goes first among those of equal priority.
        admit: tells how many seconds a job is to be put off; 0: none, math.inf: see NotNow.

    Raises:
        NotNow: `admit` said so of the next job.
    """
    _make_due(db, now=now, longest=longest)
    for _ in range(AT_ONCE):
        try:
            with savepoint(db):  # a claim that is not admitted leaves no trace
                id_ = _next(db, now=now, pool=pool, ageing=ageing, like=like)
                job = None if id_ is None else take(db, id_, worker, now=now, expires=expires)
                if job is None or (seconds := admit(job)) <= 0:
                    return job
                raise NotNow if seconds == math.inf else _PutOff(job, seconds)
        except _PutOff as later:
            until = now + min(later.seconds, longest)
            update(db, later.job.id, {"not_before": until, "put_off": 1})
    return None


def _make_due(db: apsw.Connection, *, now: float, longest: float) -> None:
    """Let the retries that are due take their places in the queue, and all have one in time."""
    db.execute(
        f"UPDATE job SET not_before = 0 WHERE id IN (SELECT id FROM ({_DUE}))",
        {"now": now, "longest": longest},
    )
    db.execute(
        f"UPDATE job SET queued_at = :now WHERE id IN ({_AHEAD})", {"now": now, "limit": AT_ONCE}
    )


def _next(
    db: apsw.Connection, *, now: float, pool: str = "", ageing: float = 0.0, like: Job | None = None
) -> int | None:
    """The next of those that are due."""
    values: dict[str, str | float | None] = {
        "now": now,
        "pool": pool,
        "ageing": float(ageing),
        "look": 1,
        **dict.fromkeys(("engine", "model", "fallbacks")),
    }
    if like is not None:
        engine, model, fallbacks = like.settings.engine, like.settings.model, like.fallbacks
        values |= {"look": LOOK, "engine": engine, "model": model, "fallbacks": encode(fallbacks)}
    id_: int | None = db.execute(_NEXT, values).get
    return id_


def take(db: apsw.Connection, id_: int, worker: str, *, now: float, expires: float) -> Job:
    """Give one to a worker."""
    db.execute(
        "UPDATE job SET state = 'processing', stage = 'preparing', lease = lease + 1,"
        " lease_expires = ?, started_at = ?, put_off = 0, error_code = NULL, error_detail = NULL"
        " WHERE id = ?",
        (expires, now, id_),
    )
    job = queries.get(db, id_)
    db.execute(
        "UPDATE turn SET claimed = (SELECT max(claimed) FROM turn) + 1 WHERE inbox = ?",
        (job.inbox,),
    )
    db.execute(
        "INSERT INTO execution (job, lease, worker, started_at, start_position)"
        " VALUES (?, ?, ?, ?, ?)",
        (job.id, job.lease, worker, now, job.progress),
    )
    record_event(db, job.id, "claimed", now, worker=worker, lease=job.lease)
    return job


def readmit(db: apsw.Connection) -> None:
    """What was put off because it was not admitted is due."""
    # The plus keeps the query on the index of those, which are few.
    db.execute("UPDATE job SET not_before = 0, put_off = 0 WHERE put_off = 1 AND +state = 'queued'")


def next_due(db: apsw.Connection, now: float) -> float | None:
    """Seconds until the earliest retry is due; None when none waits."""
    due: float | None = db.execute(
        f"SELECT min(not_before) FROM job WHERE {_QUEUED} AND not_before > 0"
    ).get
    return None if due is None else max(0.0, due - now)


def urgent_due(db: apsw.Connection, *, now: float, longest: float, limit: int) -> int:
    """How many urgent jobs could be claimed now, by a pool that is not paused; `limit` at most.

    One that was put off does not count: a run that made way for it might do so in vain.
    """
    found: int = db.execute(
        f"""
        SELECT count(*) FROM (
            SELECT 1 FROM turn CROSS JOIN job ON job.inbox = turn.inbox
            WHERE {_QUEUED} AND not_before = 0 AND priority = 0 AND NOT put_off AND {_OPEN}
            UNION ALL
            SELECT 1 FROM ({_DUE}) AS turn WHERE priority = 0 AND NOT put_off AND {_OPEN}
            LIMIT :limit
        )
        """,
        {"now": now, "longest": longest, "limit": limit},
    ).get
    return found


def urgent_next(db: apsw.Connection, *, now: float) -> Job | None:
    """The urgent job that is claimed next, unless it is a retry that has just become due."""
    id_ = _next(db, now=now)
    job = None if id_ is None else queries.get(db, id_)
    return job if job is not None and job.priority == Priority.URGENT else None
