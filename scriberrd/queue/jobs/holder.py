"""What a holder does with its job, after the claim and to the end of the run; all fenced."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from scriberrd.failures import FAILURES
from scriberrd.model import JobState, Stage, display
from scriberrd.protocol import Finished, Probed
from scriberrd.queue import queries
from scriberrd.queue.jobs.rows import (
    NO_ERROR,
    Lease,
    encode,
    end_execution,
    held,
    move,
    record_death,
    record_event,
    write,
)
from scriberrd.transcript import BlockResult, EngineInfo

if TYPE_CHECKING:
    import apsw

    from scriberrd.config import Retry
    from scriberrd.errors import WorkerDied
    from scriberrd.model import Fallback, Job, Settings


def renew(
    db: apsw.Connection, lease: Lease, *, expires: float, progress: float | None = None
) -> None:
    """Extend the lease, because the work has moved: of a transcription up to there."""
    moved = {} if progress is None else {"progress": progress}
    write(db, lease, {"lease_expires": expires} | moved)


def saving(db: apsw.Connection, lease: Lease, *, expires: float) -> None:
    """Note that the transcript is on its way into its files."""
    write(db, lease, {"lease_expires": expires, "stage": Stage.SAVING})


def probed(db: apsw.Connection, lease: Lease, probe: Probed) -> None:
    """Note what the container says of the recording."""
    write(db, lease, {"probe": encode(probe), "duration": probe.duration})


def loaded(db: apsw.Connection, lease: Lease, engine: EngineInfo) -> None:
    """Note what the recording is transcribed with."""
    if (earlier := _engine(db, lease.job)) is not None:
        engine = replace(engine, fallbacks=earlier.fallbacks)
    write(db, lease, {"engine": encode(engine), "stage": Stage.TRANSCRIBING})
    db.execute(
        "UPDATE execution SET device = ?, compute_type = ? WHERE job = ? AND lease = ?",
        (engine.device, engine.compute_type, *lease),
    )


def checkpoint(
    db: apsw.Connection, lease: Lease, block: BlockResult, *, expires: float, now: float
) -> None:
    """Keep a block that is done: no later run repeats it."""
    write(db, lease, {"lease_expires": expires, "progress": block.end, "interruptions": 0})
    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (lease.job, block.number, encode(block)))
    blocks = db.execute(
        "UPDATE execution SET blocks = blocks + 1 WHERE job = ? AND lease = ? RETURNING blocks",
        lease,
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


def transcribed(db: apsw.Connection, lease: Lease, finished: Finished, *, now: float) -> None:
    """Note that all blocks are done: what is left is to save the transcript."""
    write(
        db,
        lease,
        {
            "result": encode(finished),
            "transcribed_at": now,
            "duration": finished.duration,
            "progress": finished.duration,
            "stage": Stage.SAVING,
        },
    )


class Work(NamedTuple):
    """What earlier runs of a job have left behind."""

    probe: Probed | None
    engine: EngineInfo | None
    finished: Finished | None  # all blocks are done
    last: BlockResult | None  # the latest checkpoint
    seconds: float  # that the runs took until all blocks were done


def work(db: apsw.Connection, id_: int) -> Work:
    """What is done of a job already."""
    probe, engine, finished, last, seconds = db.execute(
        """
        SELECT probe, engine, result,
               (SELECT block FROM checkpoint WHERE job = id ORDER BY number DESC LIMIT 1),
               (SELECT total(max(0, min(coalesce(finished_at, transcribed_at), transcribed_at)
                                    - started_at))
                FROM execution WHERE execution.job = job.id)
        FROM job WHERE id = ?
        """,
        (id_,),
    ).get
    return Work(
        probe and msgspec.json.decode(probe, type=Probed),
        engine and msgspec.json.decode(engine, type=EngineInfo),
        finished and msgspec.json.decode(finished, type=Finished),
        last and msgspec.json.decode(last, type=BlockResult),
        seconds,
    )


def twin(db: apsw.Connection, job: Job) -> Job | None:
    """A completed job about the same bytes with the same settings: its transcript serves.

    One that was pruned and revived never started: with which settings it was made is forgotten.
    """
    rows = db.execute(
        f"SELECT {queries.JOB_COLUMNS} FROM job WHERE sha256 = ? AND state = 'completed'"
        " AND id <> ? AND started_at IS NOT NULL ORDER BY id DESC LIMIT 8",
        (job.sha256, job.id),
    )
    same = comparable(job.settings)
    others = map(queries.job, rows.fetchall())
    return next((other for other in others if comparable(other.settings) == same), None)


def comparable(settings: Settings) -> Settings:
    """What the blocks of a recording depend on."""
    return replace(settings, priority="normal", formats=())


def finish(
    db: apsw.Connection,
    lease: Lease,
    *,
    language: str | None,
    now: float,
    duration: float | None = None,
) -> Job:
    """The outputs are in place: the job is done, and so is all of the recording."""
    job = held(db, lease)
    done = NO_ERROR | {"finished_at": now, "language": language, "redo": 0, "result": None}
    if duration is not None:  # nobody has told it of a transcript that was there already
        done |= {"duration": duration, "progress": duration}
    end_execution(db, lease, now, "completed")
    db.execute(
        "UPDATE output SET published = job, published_at = ?,"
        " prints = substr(prints, 1, instr(prints || ' ', ' ') - 1) WHERE job = ?",
        (now, lease.job),
    )
    db.execute("DELETE FROM checkpoint WHERE job = ?", (lease.job,))
    edited = db.execute(
        "SELECT name FROM output WHERE job = ? AND edited ORDER BY name", (lease.job,)
    )
    names = ", ".join(display(name) for (name,) in edited)
    record_event(db, lease.job, "finished", now, **({"edited": names} if names else {}))
    return move(db, job, JobState.COMPLETED, done)


def fail(
    db: apsw.Connection,
    lease: Lease,
    code: str,
    detail: str,
    *,
    retry: Retry,
    now: float,
    died: WorkerDied | None = None,
    step: Fallback | None = None,
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
        return move(db, job, JobState.FAILED, error | {"finished_at": now, "failures": failures})
    due = now
    if kind.part is None:  # otherwise it is the machine's part that waits, and not the job
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
