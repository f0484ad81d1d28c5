"""What a holder does with its job, after the claim and to the end of the run; all fenced."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from scriberrd.failures import FAILURES
from scriberrd.model import JobState, Stage, display
from scriberrd.protocol import Finished, Probed
from scriberrd.queue.jobs.leaving import STAYING, leave
from scriberrd.queue.jobs.rows import (
    NO_ERROR,
    Lease,
    encode,
    end_execution,
    forget_work,
    held,
    move,
    record_death,
    record_event,
    write,
)
from scriberrd.transcript import BlockResult, EngineInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from scriberrd.config import Retry
    from scriberrd.errors import WorkerDied
    from scriberrd.model import Fallback, Identity, Job, Leaving, Shown


def renew(
    db: apsw.Connection,
    lease: Lease,
    *,
    expires: float,
    progress: float | None = None,
    diarized: float | None = None,
) -> None:
    """Extend the lease, because the work has moved.

    Args:
        db: the database.
        lease: of the run.
        expires: until when it holds now.
        progress: seconds of the recording that are transcribed.
        diarized: how much of a diarization is done, 0 to 1.
    """
    moved = {"lease_expires": expires, "progress": progress, "diarized": diarized}
    write(db, lease, {name: value for name, value in moved.items() if value is not None})


def probed(db: apsw.Connection, lease: Lease, probe: Probed) -> None:
    """Note what the container says of the recording."""
    write(db, lease, {"probe": encode(probe), "duration": probe.duration})


def touched(db: apsw.Connection, lease: Lease, identity: Identity) -> None:
    """Note that the recording is another version of a file, with the same bytes."""
    write(db, lease, {"identity": encode(identity)})


def loaded(
    db: apsw.Connection,
    lease: Lease,
    engine: EngineInfo,
    *,
    download: float | None = None,
    load: float | None = None,
) -> None:
    """Note what the recording is transcribed with.

    Args:
        db: the database.
        lease: of the run.
        engine: what is used.
        download: seconds that its model took to come; None: it was on this machine.
        load: seconds that it took to load; None: it was in memory.
    """
    if (earlier := _engine(db, lease.job)) is not None:
        engine = replace(engine, fallbacks=earlier.fallbacks)
    write(db, lease, {"engine": encode(engine), "stage": Stage.TRANSCRIBING})
    db.execute(
        "UPDATE execution SET model = ?, device = ?, compute_type = ?,"
        " download_seconds = ?, load_seconds = ? WHERE job = ? AND lease = ?",
        (engine.model, engine.device, engine.compute_type, download, load, *lease),
    )


def checkpoint(
    db: apsw.Connection,
    lease: Lease,
    block: BlockResult,
    *,
    expires: float,
    now: float,
    seconds: float | None = None,
) -> None:
    """Keep a block that is done: no later run repeats it.

    Args:
        db: the database.
        lease: of the run.
        block: what was said in it.
        expires: until when the lease holds now.
        now: the time.
        seconds: that this run has transcribed for so far.
    """
    write(db, lease, {"lease_expires": expires, "progress": block.end, "interruptions": 0})
    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (lease.job, block.number, encode(block)))
    blocks = db.execute(
        "UPDATE execution SET blocks = blocks + 1, transcribe_seconds = ?"
        " WHERE job = ? AND lease = ? RETURNING blocks",
        (seconds, *lease),
    ).get
    if blocks == 1:
        _note_fallbacks(db, lease)
    record_event(db, lease.job, "checkpointed", now, block=block.number, seconds=block.end)


def _note_fallbacks(db: apsw.Connection, lease: Lease) -> None:
    """Keep with which steps down this run makes its blocks: a retry takes them back."""
    steps, engine = held(db, lease).fallbacks, _engine(db, lease.job)
    if steps and engine is not None:
        used = dict.fromkeys((*engine.fallbacks, *map(str, steps)))
        write(db, lease, {"engine": encode(replace(engine, fallbacks=tuple(used)))})


def _engine(db: apsw.Connection, id_: int) -> EngineInfo | None:
    """What the recording has been transcribed with so far."""
    text = db.execute("SELECT engine FROM job WHERE id = ?", (id_,)).get
    return text and msgspec.json.decode(text, type=EngineInfo)


def slow(db: apsw.Connection, lease: Lease, seconds: float, *, now: float) -> None:
    """Tell that a run has taken so many seconds, which is long for its recording."""
    held(db, lease)
    record_event(db, lease.job, "slow", now, seconds=seconds)


class Done(msgspec.Struct, frozen=True):
    """What is to be said of a recording whose blocks are all done."""

    duration: float  # seconds that were decoded
    warnings: tuple[str, ...]
    seconds: float  # that the work took, all runs together that had a part in it


def transcribed(db: apsw.Connection, lease: Lease, finished: Finished, *, now: float) -> None:
    """Note that all blocks are done: what is left is to save the transcript."""
    seconds: float = db.execute(  # since the latest run that began at the start of the recording
        "SELECT total(max(0, coalesce(finished_at, :now) - started_at)) FROM execution"
        " WHERE job = :job AND lease >= (SELECT coalesce(max(lease), 0) FROM execution"
        " WHERE job = :job AND start_position = 0)",
        {"now": now, "job": lease.job},
    ).get
    _done(db, lease, Done(finished.duration, finished.warnings, round(seconds, 3)))


def _done(db: apsw.Connection, lease: Lease, done: Done) -> None:
    position = {"duration": done.duration, "progress": done.duration}
    write(db, lease, position | {"result": encode(done), "stage": Stage.SAVING})


def restore(db: apsw.Connection, lease: Lease, found: Work, blocks: Iterable[BlockResult]) -> None:
    """Give a job what was done already for the same bytes with the same settings.

    Args:
        db: the database.
        lease: of the run.
        found: what was done.
        blocks: the results of all blocks.
    """
    assert found.probe and found.engine and found.finished  # noqa: S101, PT018 - or it is not finished
    forget_work(db, lease.job)
    about = {"probe": encode(found.probe), "engine": encode(found.engine), "cached": 1}
    write(db, lease, about)
    db.executemany(
        "INSERT INTO checkpoint VALUES (?, ?, ?)",
        ((lease.job, block.number, encode(block)) for block in blocks),
    )
    _done(db, lease, found.finished)
    db.execute(  # this run does nothing of the recording
        "UPDATE execution SET start_position = ? WHERE job = ? AND lease = ?",
        (found.finished.duration, *lease),
    )


class Work(NamedTuple):
    """What earlier runs of a job have left behind."""

    probe: Probed | None
    engine: EngineInfo | None
    finished: Done | None  # all blocks are done
    last: BlockResult | None  # the latest checkpoint


def work(db: apsw.Connection, id_: int) -> Work:
    """What is done of a job already."""
    probe, engine, done, last = db.execute(
        """
        SELECT probe, engine, result,
               (SELECT block FROM checkpoint WHERE job = id ORDER BY number DESC LIMIT 1)
        FROM job WHERE id = ?
        """,
        (id_,),
    ).get
    return Work(
        probe and msgspec.json.decode(probe, type=Probed),
        engine and msgspec.json.decode(engine, type=EngineInfo),
        done and msgspec.json.decode(done, type=Done),
        last and msgspec.json.decode(last, type=BlockResult),
    )


def finish(
    db: apsw.Connection,
    lease: Lease,
    *,
    language: str | None,
    now: float,
    duration: float | None = None,
    shown: Shown | None = None,
    leaving: Leaving | None = None,
) -> Job:
    """The outputs are in place: the job is done, and so is all of the recording.

    Args:
        db: the database.
        lease: of the run.
        language: of the transcript.
        now: the time.
        duration: seconds of the recording, where no worker has told it.
        shown: the speakers of the transcript; names that people gave to those of other turns go.
        leaving: how the recording is to leave its inbox; None: it stays.
    """
    job = held(db, lease)
    done = NO_ERROR | {"finished_at": now, "language": language, "result": None}
    done |= {"redo": 0, "redo_stage": None, "shown": None if shown is None else encode(shown)}
    if shown is not None:
        db.execute("DELETE FROM speaker WHERE job = ? AND turns != ?", (lease.job, shown.turns))
    if duration is not None:  # nobody has told it of a transcript that was there already
        done |= {"duration": duration, "progress": duration}
    end_execution(db, lease, now, "completed")
    db.execute("DELETE FROM checkpoint WHERE job = ?", (lease.job,))
    edited = db.execute(
        "SELECT name FROM output WHERE job = ? AND edited ORDER BY name", (lease.job,)
    )
    names = ", ".join(display(name) for (name,) in edited)
    record_event(db, lease.job, "finished", now, **({"edited": names} if names else {}))
    leave(db, job, leaving, now)
    return move(db, job, JobState.COMPLETED, done)


def fail(  # noqa: PLR0913 - all that is known of how a run ended
    db: apsw.Connection,
    lease: Lease,
    code: str,
    detail: str,
    *,
    retry: Retry,
    now: float,
    died: WorkerDied | None = None,
    step: Fallback | None = None,
    leaving: Leaving | None = None,
) -> Job:
    """The run failed: the fault of its kind decides between another try and the end.

    Args:
        db: the database.
        lease: of the run.
        code: a key of FAILURES.
        detail: for people, without absolute paths.
        retry: its section of the configuration.
        now: the time.
        died: how the worker ended, if it did.
        step: what the next run does with less; as long as there is one, there is a next run.
        leaving: how the recording is to leave its inbox if this is the end; None: it stays.
    """
    job = held(db, lease)
    end_execution(db, lease, now, "failed", code, detail)
    if died is not None:
        record_death(db, lease, died)
    kind = FAILURES[code]
    fault = kind.fault
    failures = job.failures + (fault == "worker")
    error = {"error_code": code, "error_detail": detail, "deaths": job.deaths + kind.deadly}
    if step is not None:
        failures = min(failures, retry.attempts - 1)
        error["fallbacks"] = encode((*job.fallbacks, step))
    if job.cancel_requested:
        record_event(db, job.id, "canceled", now)
        return move(db, job, JobState.CANCELED, error | NO_ERROR | {"finished_at": now})
    if fault == "file" or (fault == "worker" and failures >= retry.attempts):
        record_event(db, job.id, "failed", now, code=code, failures=failures)
        leave(db, job, None if code in STAYING else leaving, now)
        return move(db, job, JobState.FAILED, error | {"finished_at": now, "failures": failures})
    due = now
    # A part of the machine waits by itself; and what does with less may be tried at once.
    if kind.part is None and step is None:
        tries = _runs(db, job.id, code) if fault == "machine" else failures
        backoff = min(retry.backoff * 2.0 ** min(max(tries - 1, 0), 30), retry.backoff_max)
        # Half of it fixed, half of it random: jobs that failed together come back apart.
        due += backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
    what = {} if step is None else {"fallback": str(step)}
    record_event(db, job.id, "retried", now, code=code, failures=failures, not_before=due, **what)
    return move(db, job, JobState.QUEUED, error | {"failures": failures, "not_before": due})


def _runs(db: apsw.Connection, id_: int, code: str) -> int:
    """How many runs have ended so: what is not counted has to wait longer and longer, too."""
    query = "SELECT count(*) FROM execution WHERE job = ? AND error_code = ?"
    number: int = db.execute(query, (id_, code)).get
    return number


def release(db: apsw.Connection, lease: Lease, *, now: float, outcome: str = "released") -> Job:
    """Back to the queue with its checkpoints; nothing is counted against the recording."""
    job = held(db, lease)
    end_execution(db, lease, now, "canceled" if job.cancel_requested else outcome)
    if job.cancel_requested:
        record_event(db, job.id, "canceled", now)
        return move(db, job, JobState.CANCELED, {"finished_at": now})
    record_event(db, job.id, "released", now, outcome=outcome)
    return move(db, job, JobState.QUEUED, {})
