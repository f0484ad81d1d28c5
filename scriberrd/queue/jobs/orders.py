"""What people order: cancel, retry, redo, and another priority."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.errors import IllegalMove
from scriberrd.model import TERMINAL, JobState
from scriberrd.queue import queries
from scriberrd.queue.jobs.claiming import take
from scriberrd.queue.jobs.leaving import require_there, stay
from scriberrd.queue.jobs.rows import (
    FRESH,
    NO_ERROR,
    Lease,
    Order,
    forget_work,
    move,
    record_event,
    requeue,
    require_newest,
    update,
)
from scriberrd.queue.jobs.submission import adjust

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

    from scriberrd.model import Job, Priority, RedoStage, Sidecar
    from scriberrd.settings import Settings


def cancel(db: apsw.Connection, id_: int, now: float) -> Job:
    """End a queued job; ask for the end of one in processing.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has ended already.
    """
    job = queries.get(db, id_)
    if job.state is JobState.PROCESSING:
        record_event(db, id_, "cancel_requested", now)
        return update(db, id_, {"cancel_requested": 1})
    if job.state is JobState.QUEUED:
        record_event(db, id_, "canceled", now)
        return move(db, job, JobState.CANCELED, NO_ERROR | {"finished_at": now})
    raise IllegalMove(id_, job.state, "be canceled")


def prioritize(db: apsw.Connection, id_: int, priority: Priority, now: float) -> Job:
    """Have a queued job claimed before or after others.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it is not queued.
    """
    job = queries.get(db, id_)
    if job.state is not JobState.QUEUED:
        raise IllegalMove(id_, job.state, "have another priority")
    record_event(db, id_, "prioritized", now, priority=priority.name.lower())
    return update(db, id_, {"priority": priority})


def cancel_requested(db: apsw.Connection) -> list[Lease]:
    """The leases that are to be given up because somebody canceled their job."""
    return [
        Lease(*row)
        for row in db.execute(
            "SELECT id, lease FROM job"
            " WHERE finished_at IS NULL AND state = 'processing' AND cancel_requested = 1"
        )
    ]


def retry(db: apsw.Connection, id_: int, now: float, *, order: Order | None = None) -> Job:
    """Queue a failed or canceled job again, or let a waiting one go at once; a fresh budget.

    It goes on from its checkpoints, unless the settings of the order are others than those that
    they were made with.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it is in processing or completed, or a newer job has its recording.
    """
    job = queries.get(db, id_)
    if job.state in {JobState.PROCESSING, JobState.COMPLETED}:
        raise IllegalMove(id_, job.state, "be retried")
    if job.state is not JobState.QUEUED:
        require_newest(db, job, "be retried")
        stay(db, job, "be retried")
    if order is not None:
        adjust(db, job, order)
    if job.state is JobState.QUEUED:
        record_event(db, id_, "retried", now)
        return update(db, id_, FRESH)
    return requeue(db, job, now, "retried")


def redo(
    db: apsw.Connection,
    id_: int,
    *,
    profile: str,
    settings: Settings,
    now: float,
    overrides: Mapping[str, str] | None = None,
    sidecar: Sidecar | None = None,
    stage: RedoStage | None = None,
) -> Job:
    """Queue an ended job anew with these settings.

    Its published transcript stays, and is served, until the new one is published over it.

    Args:
        db: the database.
        id_: of the job.
        profile: that the settings were taken from.
        settings: with the overrides.
        now: the time.
        overrides: what was ordered over the profile; None: the same as before.
        sidecar: what lies beside the recording; None: the same as before.
        stage: from where on; None: from the start of the recording.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has not ended, a newer job has its recording, or that has left its inbox.
    """
    job = queries.get(db, id_)
    if job.state not in TERMINAL:
        raise IllegalMove(id_, job.state, "be redone")
    require_newest(db, job, "be redone")
    if stage != "merge":  # which needs no recording
        require_there(job, "be redone")
        stay(db, job, "be redone")
    if stage is None:
        forget_work(db, id_)
    overrides = job.overrides if overrides is None else overrides
    order = Order(profile, settings, overrides, sidecar or job.sidecar)
    update(db, id_, {"redo": 1, "redo_stage": stage} | order.columns | NO_ERROR)
    return requeue(db, job, now, "redone")


def take_again(
    db: apsw.Connection,
    id_: int,
    *,
    worker: str,
    now: float,
    expires: float,
    settings: Settings | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Job:
    """Have an ended job rendered again by `worker`, which holds it at once.

    Args:
        db: the database.
        id_: of the job.
        worker: who takes it, for the record.
        now: the time.
        expires: on the monotonic clock: when the lease ends unless it is renewed.
        settings: to render it with; None: the same as before.
        overrides: what was ordered over the profile; None: the same as before.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has not ended, or a newer job has its recording.
    """
    job = queries.get(db, id_)
    settings = job.settings if settings is None else settings
    profile = job.profile
    redo(db, id_, profile=profile, settings=settings, overrides=overrides, now=now, stage="merge")
    return take(db, id_, worker, now=now, expires=expires)
