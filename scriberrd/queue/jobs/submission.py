"""A recording becomes a job, or turns out to be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from scriberrd.asking import asking
from scriberrd.model import TERMINAL, JobState
from scriberrd.queue import queries
from scriberrd.queue.jobs.knowing import MENDED, take_in
from scriberrd.queue.jobs.pruning import forget, revive
from scriberrd.queue.jobs.rows import (
    FRESH,
    Lease,
    Order,
    encode,
    end_execution,
    forget_work,
    move,
    newest,
    record_event,
    requeue,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scriberrd.model import Job, Sidecar, Source
    from scriberrd.settings import Settings

# What other bytes under the name of a job do away with.
REPLACED = {
    "redo": 0,
    "redo_stage": None,
    "deaths": 0,
    "published_at": None,
    "shown": None,
    "cached": 0,
    "uploaded": 0,
    "disposed": None,
    "warnings": "[]",
}


def submit(
    db: apsw.Connection,
    source: Source,
    *,
    profile: str,
    settings: Settings,
    now: float,
    overrides: Mapping[str, str] | None = None,
    sidecar: Sidecar | None = None,
    wanted: Callable[[Job], Order] | None = None,
) -> tuple[Job, bool]:
    """Queue a recording, unless it is known; tells whether anything is to be done that was not.

    The newest job of the same path decides. The same bytes again are no news, except for one that
    failed: somebody has mended what was wrong with the file. A forgotten job stays so while there
    is no news and nobody asks. Other bytes under the name of a live job replace what it was about,
    and fence off whoever works on the old ones; under that of an ended job they get one of their
    own.

    When a person asks, `wanted` tells how a known job is to go on: a live one takes that, and one
    that failed or was canceled is queued again with it.
    """
    columns = {
        "identity": encode(source.identity),
        "sha256": source.sha256,
        **Order(profile, settings, overrides or {}, sidecar).columns,
    }
    take_in(db, source.inbox, source.path)
    known = newest(db, source.inbox, source.path)
    forgotten = known is None
    if known is None:
        known = revive(db, source.inbox, source.path, columns)
    if known is not None and _same_bytes(known, source):
        touched = known.state is JobState.FAILED and (
            known.identity.version != source.identity.version
            or (known.error_code in MENDED and source.sha256 is not None)
            or known.disposed is not None  # it was put back
        )
        known = _recognize(db, known, source)
        if known.disposed is not None and known.state is not JobState.COMPLETED:
            known = update(db, known.id, {"disposed": None})  # it lies there again
        if wanted is not None:
            return _ask(db, known, wanted(known), now)
        if forgotten and not touched:
            forget(db, [(known.id,)])
        return requeue(db, known, now, "submitted") if touched else known, touched
    if known is not None and known.state not in TERMINAL:
        return _supersede(db, known, columns, now), True
    who = asking()
    db.execute(
        """
        INSERT INTO job (inbox, path, identity, sha256, profile, settings, overrides, sidecar,
                         submitted_by, priority, created_at, queued_at)
        VALUES (:inbox, :path, :identity, :sha256, :profile, :settings, :overrides, :sidecar,
                :by, :priority, :now, :now)
        """,
        {"inbox": source.inbox, "path": source.path, "now": now, "by": who and encode(who)}
        | columns,
    )
    job = queries.get(db, db.last_insert_rowid())
    if forgotten and known is not None:  # it stays so, and its files are the new one's
        forget(db, [(known.id,)])
    record_event(db, job.id, "submitted", now)
    return job, True


def submit_all(
    db: apsw.Connection, submissions: Iterable[tuple[Source, Order]], now: float
) -> list[tuple[Job, bool] | Exception]:
    """Queue several recordings as `submit` does. One that can't be leaves the others alone."""
    done: list[tuple[Job, bool] | Exception] = []
    for source, order in submissions:
        db.execute("SAVEPOINT submission")
        try:
            done.append(submit(db, source, **order._asdict(), now=now))
        except apsw.Error:
            raise  # nothing can be written
        except Exception as error:  # noqa: BLE001 - it is passed on
            db.execute("ROLLBACK TO submission")
            done.append(error)
        db.execute("RELEASE submission")
    return done


def submit_again(
    db: apsw.Connection,
    inbox: str,
    sha256: str,
    *,
    profile: str,
    now: float,
    wanted: Callable[[Job], Order],
) -> Job | None:
    """A job of the inbox about these bytes that is live or completed; see `submit` for `wanted`."""
    where = "sha256 = ? AND inbox = ? AND profile = ? AND state NOT IN ('failed', 'canceled')"
    known = queries.first(db, where, (sha256, inbox, profile))
    return None if known is None else _ask(db, known, wanted(known), now)[0]


def recognize(db: apsw.Connection, id_: int, source: Source) -> None:
    """Note the bytes of a recording that could not be read when it came, if these are its."""
    job = queries.get(db, id_)
    if _same_bytes(job, source):
        _recognize(db, job, source)


def adjust(db: apsw.Connection, job: Job, order: Order) -> Job:
    """Let a job go on like this; what was done with other settings is of no use to it."""
    if order.settings.comparable() != job.settings.comparable():
        forget_work(db, job.id)
    return update(db, job.id, order.columns)


def _same_bytes(job: Job, source: Source) -> bool:
    """Whether a job is about these bytes, or about this version of a file that can't be read."""
    if job.sha256 is None or source.sha256 is None:
        return job.identity.version == source.identity.version
    return job.sha256 == source.sha256


def _recognize(db: apsw.Connection, job: Job, source: Source) -> Job:
    sha256 = source.sha256 or job.sha256  # what is known of it stays known
    # Our copy of an upload that somebody has put another one in place of is his.
    uploaded = job.uploaded and job.identity.inode == source.identity.inode
    columns = {"identity": encode(source.identity), "sha256": sha256, "uploaded": uploaded}
    return update(db, job.id, columns)


def _ask(db: apsw.Connection, job: Job, order: Order, now: float) -> tuple[Job, bool]:
    if job.state in {JobState.FAILED, JobState.CANCELED}:
        adjust(db, job, order)
        return requeue(db, job, now, "submitted"), True
    if job.state not in TERMINAL and order != (
        job.profile,
        job.settings,
        job.overrides,
        job.sidecar,
    ):
        record_event(db, job.id, "submitted", now)
        job = adjust(db, job, order)
    return job, False


def _supersede(db: apsw.Connection, job: Job, columns: dict[str, Any], now: float) -> Job:
    forget_work(db, job.id)
    job = update(db, job.id, FRESH | REPLACED | columns)
    if job.state is JobState.PROCESSING:
        end_execution(db, Lease(job.id, job.lease), now, "superseded")
        job = move(db, job, JobState.QUEUED, {})
    record_event(db, job.id, "superseded", now)
    return job
