"""A recording becomes a job, or turns out to be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scriberrd.model import TERMINAL, JobState
from scriberrd.queue import columns, queries
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

    import apsw

    from scriberrd.model import Identity, Job, Sidecar, Source
    from scriberrd.settings import Settings


MISSING = "source_missing"
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
NEWEST = "SELECT id FROM job WHERE inbox = :inbox AND path = :path ORDER BY id DESC LIMIT 1"


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
    known = newest(db, source.inbox, source.path)
    forgotten = known is None
    if known is None:
        known = revive(db, source.inbox, source.path, columns)
    if known is not None and _same_bytes(known, source):
        # Not by another device number alone: a mount may give one.
        touched = known.state is JobState.FAILED and (
            known.identity[1:] != source.identity[1:]
            or known.error_code == MISSING
            or known.disposed is not None  # it was put back
        )
        known = _recognize(db, known, source)
        if wanted is not None:
            return _ask(db, known, wanted(known), now)
        if forgotten and not touched:
            forget(db, [(known.id,)])
        if touched:
            update(db, known.id, {"disposed": None})
        return requeue(db, known, now, "submitted") if touched else known, touched
    if known is not None and known.state not in TERMINAL:
        return _supersede(db, known, columns, now), True
    db.execute(
        """
        INSERT INTO job (inbox, path, identity, sha256, profile, settings, overrides, sidecar,
                         priority, created_at, queued_at)
        VALUES (:inbox, :path, :identity, :sha256, :profile, :settings, :overrides, :sidecar,
                :priority, :now, :now)
        """,
        {"inbox": source.inbox, "path": source.path, "now": now} | columns,
    )
    job = queries.get(db, db.last_insert_rowid())
    if forgotten and known is not None:  # it stays so, and its files are the new one's
        forget(db, [(known.id,)])
    record_event(db, job.id, "submitted", now)
    return job, True


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


class Sorted(NamedTuple):
    """Files of an inbox that are not known as they are."""

    news: list[bytes]  # versions that no job knows
    renumbered: list[tuple[bytes, Identity]]  # for `renumber`
    mendable: list[tuple[bytes, Identity]]  # what hindered their jobs may be mended: look at them


def unknown(db: apsw.Connection, inbox: str, found: Iterable[tuple[bytes, Identity]]) -> Sorted:
    """What of the files in an inbox is news, and what is known by numbers that have changed.

    News is a version that no job knows; a file that could not be read, when its permissions may
    have changed; and one that was missing. The others are for `renumber`.
    """
    news, renumbered = [], []
    for path, identity in found:
        text, may_be_readable, missing = _known(db, inbox, path) or ("", False, True)
        if missing:
            news.append(path)
        elif text != encode(identity):  # rare, and dearer
            known = columns.identity(text)
            touched = may_be_readable and known.ctime_ns != identity.ctime_ns
            if touched or known.version != identity.version:
                news.append(path)
            else:
                renumbered.append((path, identity))
    return Sorted(news, renumbered, [])


def renumber(db: apsw.Connection, inbox: str, found: Iterable[tuple[bytes, Identity]]) -> None:
    """Note the numbers that files have now, where they are the versions that are known."""
    for path, identity in found:
        known = _known(db, inbox, path)
        if known is not None and columns.identity(known[0]).version == identity.version:
            row = {"inbox": inbox, "path": path, "identity": encode(identity)}
            db.execute(f"UPDATE job SET identity = :identity WHERE id = ({NEWEST})", row)
            db.execute(
                "UPDATE tombstone SET identity = :identity WHERE (inbox, path) = (:inbox, :path)",
                row,
            )


def _known(db: apsw.Connection, inbox: str, path: bytes) -> tuple[str, bool, bool] | None:
    """The identity that is known of a file as JSON; could it not be read? was it missing?"""
    row = {"inbox": inbox, "path": path}
    known: tuple[str, bool, bool] | None = db.execute(
        "SELECT identity, sha256 IS NULL OR error_code = 'unreadable',"
        f" disposed IS NOT NULL OR error_code = '{MISSING}'"
        f" FROM job WHERE id = ({NEWEST})",
        row,
    ).get
    if known is None:
        known = db.execute(
            "SELECT identity, sha256 IS NULL, 0 FROM tombstone"
            " WHERE inbox = :inbox AND path = :path",
            row,
        ).get
    return known


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
