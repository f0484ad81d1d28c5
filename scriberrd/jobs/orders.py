"""What people order: cancel and retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd import listing
from scriberrd.errors import IllegalMove
from scriberrd.jobs.rows import FRESH, Hold, move, requeue, tell, update
from scriberrd.jobs.submission import newest
from scriberrd.model import JobState

if TYPE_CHECKING:
    import apsw

    from scriberrd.model import Job


def cancel(db: apsw.Connection, id_: int, now: float) -> Job:
    """End a queued job; ask for the end of one in processing.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has ended already.
    """
    job = listing.get(db, id_)
    if job.state is JobState.PROCESSING:
        update(db, id_, {"cancel_requested": 1})
        tell(db, id_, "cancel_requested", now)
    elif job.state is JobState.QUEUED:
        move(db, job, JobState.CANCELED, {"finished_at": now})
        tell(db, id_, "canceled", now)
    else:
        raise IllegalMove(id_, job.state, "be canceled")
    return listing.get(db, id_)


def cancel_requested(db: apsw.Connection) -> list[Hold]:
    """The holds that are to be given up because somebody canceled their job."""
    return [
        Hold(*row)
        for row in db.execute(
            "SELECT id, lease FROM job WHERE state = 'processing' AND cancel_requested = 1"
        )
    ]


def retry(db: apsw.Connection, id_: int, now: float) -> Job:
    """Queue a failed or canceled job again, or let a waiting one go at once; a fresh budget.

    It goes on from its checkpoints.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it is in processing or completed, or a newer job has its recording.
    """
    job = listing.get(db, id_)
    if job.state in {JobState.PROCESSING, JobState.COMPLETED}:
        raise IllegalMove(id_, job.state, "be retried")
    if job.state is JobState.QUEUED:
        update(db, id_, FRESH)
        tell(db, id_, "retried", now)
        return listing.get(db, id_)
    latest = newest(db, job.inbox, job.path)
    if latest is not None and latest.id != id_:
        raise IllegalMove(id_, job.state, f"be retried: job {latest.id} has its recording now")
    return requeue(db, job, now, "retried")
