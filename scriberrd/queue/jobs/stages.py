"""What a holder notes of the stages after the words; all fenced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scriberrd.model import Stage
from scriberrd.queue.jobs.rows import Lease, forget_work, held, record_event, write

if TYPE_CHECKING:
    import apsw

    from scriberrd.model import Job


def begin_anew(db: apsw.Connection, lease: Lease) -> None:
    """Forget what earlier runs say of the recording: its words are not kept any more."""
    held(db, lease)
    forget_work(db, lease.job)
    db.execute("UPDATE execution SET start_position = 0 WHERE job = ? AND lease = ?", lease)


def spoken(db: apsw.Connection, id_: int) -> bool:
    """Whether anything was said in the blocks that are done."""
    said: int = db.execute(
        "SELECT EXISTS (SELECT 1 FROM checkpoint WHERE job = ?"
        " AND block ->> '$.segments[0].start' IS NOT NULL)",
        (id_,),
    ).get
    return bool(said)


def adopted(db: apsw.Connection, lease: Lease, *, now: float) -> None:
    """Tell that the transcript was there already, and no worker has anything to do."""
    held(db, lease)
    record_event(db, lease.job, "adopted", now)


def words_published(db: apsw.Connection, lease: Lease, *, now: float) -> None:
    """Tell that the words are published before it is known who says them."""
    held(db, lease)
    record_event(db, lease.job, "published", now)


def killed(db: apsw.Connection, job: Job) -> int:
    """How many runs since the latest order had their worker killed by somebody."""
    number: int = db.execute(
        "SELECT count(*) FROM execution"
        " WHERE job = ? AND error_code = 'worker_killed' AND started_at >= ?",
        (job.id, job.queued_at),
    ).get
    return number


def diarizing(db: apsw.Connection, lease: Lease, *, expires: float) -> None:
    """Note that the speakers are being told apart."""
    write(db, lease, {"lease_expires": expires, "stage": Stage.DIARIZING, "diarized": 0.0})


def diarized(
    db: apsw.Connection,
    lease: Lease,
    *,
    speakers: int,
    seconds: float,
    device: str,
    now: float,
) -> None:
    """Tell that the speakers are told apart: how many, in how many seconds of work, and where."""
    held(db, lease)
    db.execute(
        "UPDATE execution SET diarize_seconds = ? WHERE job = ? AND lease = ?", (seconds, *lease)
    )
    record_event(db, lease.job, "diarized", now, speakers=speakers, seconds=seconds, device=device)


def saving(
    db: apsw.Connection,
    lease: Lease,
    *,
    expires: float,
    stage: Literal[Stage.MERGING, Stage.SAVING] = Stage.SAVING,
) -> None:
    """Note that the transcript is made, and on its way into its files."""
    write(db, lease, {"lease_expires": expires, "stage": stage, "diarized": None})
