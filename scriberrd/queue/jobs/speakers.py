"""The names that people give to the speakers of a transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.errors import IllegalMove, InvalidRequest
from scriberrd.model import JobState
from scriberrd.queue import queries
from scriberrd.queue.jobs.rows import record_event, require_newest

if TYPE_CHECKING:
    import apsw

    from scriberrd.model import Job, Shown

VERB = "have its speakers named"


def require_shown(db: apsw.Connection, id_: int, label: str) -> Shown:
    """The speakers that a job's transcript shows, this one among them.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it is not completed, or a newer job has its recording.
        InvalidRequest: its transcript shows no such speaker.
    """
    job = queries.get(db, id_)
    if job.state is not JobState.COMPLETED:
        raise IllegalMove(id_, job.state, VERB)
    require_newest(db, job, VERB)
    if job.shown is None:
        raise InvalidRequest(f"speaker: the transcript of job {id_} does not tell speakers apart")
    if label not in job.shown.labels:
        raise InvalidRequest(f"speaker: {label!r} is not one of {', '.join(job.shown.labels)}")
    return job.shown


def name(db: apsw.Connection, id_: int, label: str, name: str, now: float) -> Job:
    """Note the name of a speaker, for as long as the same turns are shown; "" forgets it.

    Raises as `require_shown` does.
    """
    row = (id_, require_shown(db, id_, label).turns, label)
    if name:
        db.execute("INSERT OR REPLACE INTO speaker VALUES (?, ?, ?, ?)", (*row, name))
    else:
        db.execute("DELETE FROM speaker WHERE (job, turns, label) = (?, ?, ?)", row)
    record_event(db, id_, "named", now, speaker=label)
    return queries.get(db, id_)
