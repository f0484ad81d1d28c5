"""What all moves are made of: fenced writes, legal moves, and the event of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from scriberrd.asking import asking
from scriberrd.errors import IllegalMove, JobNotFound, LeaseLost
from scriberrd.model import TRANSITIONS, JobState, Priority
from scriberrd.queue import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

    from scriberrd.errors import WorkerDied
    from scriberrd.model import Job, Sidecar
    from scriberrd.settings import Settings


# The error of an earlier run says nothing about a job that starts anew or is given up.
NO_ERROR: dict[str, Any] = {"error_code": None, "error_detail": None}
# What an order to start again sets back; `deaths` stay, since the bytes are still the same.
FRESH = NO_ERROR | {
    "failures": 0,
    "interruptions": 0,
    "fallbacks": "[]",
    "not_before": 0,
    "put_off": 0,
}


class Lease(NamedTuple):
    """What entitles a holder to write: the job, and the fencing token of its claim."""

    job: int
    token: int


class Order(NamedTuple):
    """How a job is to be done."""

    profile: str  # that the settings were taken from
    settings: Settings  # with the overrides
    overrides: Mapping[str, str]  # what was ordered over the profile: key -> text
    sidecar: Sidecar | None = None  # beside the recording; the settings are with it

    @property
    def columns(self) -> dict[str, Any]:
        """Where it stands in the job's row."""
        return {
            "profile": self.profile,
            "settings": encode(self.settings),
            "overrides": encode(self.overrides),
            "sidecar": encode(self.sidecar) if self.sidecar and self.sidecar.mark else None,
            "priority": Priority[self.settings.priority.upper()],
        }


def encode(value: object) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


def held(db: apsw.Connection, lease: Lease) -> Job:
    """The job, if this is still its holder; otherwise LeaseLost."""
    try:
        job = queries.get(db, lease.job)
    except JobNotFound:  # pruned, long after it was taken back
        raise LeaseLost(*lease) from None
    if job.state is not JobState.PROCESSING or job.lease != lease.token:
        raise LeaseLost(*lease)
    return job


def write(db: apsw.Connection, lease: Lease, columns: dict[str, Any]) -> None:
    """A fenced write: exactly one row, or the lease is lost."""
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    db.execute(
        f"UPDATE job SET {assignments} WHERE id = :lease_job AND lease = :lease_token"
        " AND state = 'processing'",
        columns | {"lease_job": lease.job, "lease_token": lease.token},
    )
    if db.changes() != 1:
        raise LeaseLost(*lease)


def update(db: apsw.Connection, id_: int, columns: dict[str, Any]) -> Job:
    """An unfenced write, for those who hold no lease; gives the job as it is after it."""
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    db.execute(f"UPDATE job SET {assignments} WHERE id = :id", columns | {"id": id_})
    return queries.get(db, id_)


def move(db: apsw.Connection, job: Job, to: JobState, columns: dict[str, Any]) -> Job:
    """The only way out of a state, but for the claim: TRANSITIONS has the last word."""
    if to not in TRANSITIONS[job.state]:
        raise IllegalMove(job.id, job.state, f"become {to}")
    idle = {"stage": None, "diarized": None, "lease_expires": None, "cancel_requested": 0}
    return update(db, job.id, {"state": to} | idle | columns)


def end_execution(
    db: apsw.Connection,
    lease: Lease,
    now: float,
    outcome: str,
    code: str | None = None,
    detail: str | None = None,
) -> None:
    """Close the record of a run."""
    db.execute(
        "UPDATE execution SET finished_at = ?, outcome = ?, error_code = ?, error_detail = ?,"
        " audio_seconds = max(0, (SELECT progress FROM job WHERE id = job) - start_position)"
        " WHERE job = ? AND lease = ?",
        (now, outcome, code, detail, *lease),
    )


def record_death(db: apsw.Connection, lease: Lease, died: WorkerDied) -> None:
    """Keep what the worker of a run died of, and its last words."""
    db.execute(
        "UPDATE execution SET returncode = ?, stderr = ? WHERE job = ? AND lease = ?",
        (died.returncode, died.stderr, *lease),
    )


def record_event(
    db: apsw.Connection, id_: int | None, type_: str, now: float, **data: str | float | None
) -> None:
    """Record an event of the change that this transaction makes, and who asked for it.

    Without a job it is of a pause, a model, the configuration, or a job that is forgotten.
    """
    by = {} if (who := asking()) is None else {"by": who}
    db.execute(
        "INSERT INTO event (at, job, type, data) VALUES (?, ?, ?, ?)",
        (now, id_, type_, encode(data | by)),
    )


def newest(db: apsw.Connection, inbox: str, path: bytes) -> Job | None:
    """The latest job about this path, if any."""
    return queries.first(db, "inbox = ? AND path = ?", (inbox, path))


def require_newest(db: apsw.Connection, job: Job, verb: str) -> None:
    """Raise IllegalMove unless this is the latest job about its recording."""
    latest = newest(db, job.inbox, job.path)
    if latest is not None and latest.id != job.id:
        newer = f"job {latest.id} is newer and has its recording"
        raise IllegalMove(job.id, job.state, f"{verb}: {newer}")


def requeue(db: apsw.Connection, job: Job, now: float, event: str) -> Job:
    """An ended job starts again, with a fresh budget and its checkpoints."""
    record_event(db, job.id, event, now)
    return move(db, job, JobState.QUEUED, FRESH | {"queued_at": now, "finished_at": None})


def forget_work(db: apsw.Connection, id_: int) -> None:
    """The next run begins at the start of the recording."""
    db.execute("DELETE FROM checkpoint WHERE job = ?", (id_,))
    nothing = dict.fromkeys(("duration", "probe", "engine", "result"))
    update(db, id_, {"progress": 0, "cached": 0} | nothing)
