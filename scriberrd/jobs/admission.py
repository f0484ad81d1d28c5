"""A claim that asks whether the job may be worked on now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scriberrd.jobs.claiming import make_due, take
from scriberrd.jobs.rows import update

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from scriberrd.model import Job


AT_ONCE = 200  # jobs that are put off in one transaction: others have to write too


class NotNow(Exception):
    """The next job waits for another one to end, and those behind it wait for their turn."""


class _PutOff(Exception):
    def __init__(self, job: Job, seconds: float) -> None:
        self.job, self.seconds = job, seconds


def claim_admitted(
    db: apsw.Connection,
    worker: str,
    *,
    admit: Callable[[Job], float],
    now: float,
    expires: float,
    longest: float,
    pool: str = "",
    ageing: float = 0.0,
) -> Job | None:
    """Claim the next job that is due and admitted; the arguments are those of `claim`.

    None means that there is none, or that many were put off and it is to be called again.

    Args:
        db: the database.
        worker: see `claim`.
        admit: tells how many seconds a job is to be put off; 0: none, math.inf: see NotNow.
        now: see `claim`.
        expires: see `claim`.
        longest: see `claim`.
        pool: see `claim`.
        ageing: see `claim`.

    Raises:
        NotNow: `admit` said so of the next job.
    """
    make_due(db, now=now, longest=longest)
    for _ in range(AT_ONCE):
        try:
            with db:  # a savepoint: a claim that is not admitted leaves no trace
                job = take(db, worker, now=now, expires=expires, pool=pool, ageing=ageing)
                if job is None or (seconds := admit(job)) <= 0:
                    return job
                raise NotNow if seconds == math.inf else _PutOff(job, seconds)
        except _PutOff as later:
            update(db, later.job.id, {"not_before": now + min(later.seconds, longest)})
    return None
