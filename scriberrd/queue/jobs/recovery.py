"""What an earlier daemon held when it ended: taken back, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.model import JobState
from scriberrd.queue import queries
from scriberrd.queue.jobs.holder import release
from scriberrd.queue.jobs.leaving import leave
from scriberrd.queue.jobs.rows import Lease, end_execution, move, record_event, update

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from scriberrd.model import Job, Leaving

TOO_OFTEN = "interrupted_too_often"


def recover(
    db: apsw.Connection, now: float, *, limit: int, leaving: Callable[[Job], Leaving | None]
) -> list[Job]:
    """Take back what an earlier daemon held. Call it once, when no other daemon can be alive.

    A recording that takes the whole machine down with it must not do so for ever: what was
    interrupted `limit` times in a row, without a block done in between, is set aside. One whose
    words are done, and which can do without speakers, goes on to its end without them.

    Args:
        db: the database.
        now: the time.
        limit: how many interruptions are one too many.
        leaving: how the recording of a job that has failed leaves its inbox; None: it stays.
    """
    return [_take_back(db, job, now, limit, leaving) for job in queries.processing(db)]


def _take_back(
    db: apsw.Connection,
    job: Job,
    now: float,
    limit: int,
    leaving: Callable[[Job], Leaving | None],
) -> Job:
    lease = Lease(job.id, job.lease)
    blocks = db.execute("SELECT blocks FROM execution WHERE job = ? AND lease = ?", lease).get
    interruptions = job.interruptions + (not blocks)
    update(db, job.id, {"interruptions": interruptions})
    if interruptions < limit or job.cancel_requested or _has_words(db, job):
        return release(db, lease, now=now, outcome="lost")
    detail = f"{interruptions} times in a row"
    end_execution(db, lease, now, "lost", TOO_OFTEN, detail)
    error = {"error_code": TOO_OFTEN, "error_detail": detail, "finished_at": now}
    record_event(db, job.id, "failed", now, code=TOO_OFTEN, failures=job.failures)
    leave(db, job, leaving(job), now)
    return move(db, job, JobState.FAILED, error)


def _has_words(db: apsw.Connection, job: Job) -> bool:
    """Whether a job has nothing left to do that it can't do without."""
    done: int = db.execute("SELECT result IS NOT NULL FROM job WHERE id = ?", (job.id,)).get
    return job.settings.diarize == "auto" and bool(done)
