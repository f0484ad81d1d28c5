"""Tell apart who speaks in a job whose words are done: a stage, and what follows when it fails."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd import protocol
from scriberrd.errors import TaskFailed, WorkerDied
from scriberrd.failures import FAILURES
from scriberrd.files.folders import start
from scriberrd.queue import jobs
from scriberrd.queue.jobs.recovery import TOO_OFTEN

if TYPE_CHECKING:
    from scriberrd.config import Config, Retry
    from scriberrd.model import Job
    from scriberrd.transcript import Diarization
    from scriberrd.work.means import Means
    from scriberrd.work.run import Run

log = logging.getLogger(__name__)


def wants(job: Job) -> bool:
    """Whether the speakers of a job are to be told apart."""
    return job.settings.diarize != "off"


async def diarize(run: Run, means: Means) -> tuple[Diarization | None, tuple[str, ...]]:
    """Who speaks when; or nothing, where "auto" does without, and the warning that says why.

    Raises:
        TaskFailed: it could not be done; the words are kept.
        WorkerDied: the process ended; likewise.
        LeaseLost: the job was taken back.
        StoreError: the database can't be used.
    """
    job = run.job
    try:
        return await _found(run, means), ()
    except (TaskFailed, WorkerDied) as error:
        if (away := await means.unavailable(job, error.failure)) is not None:
            raise away from error
        killed = await means.store.read(jobs.killed, job)
        if not gives_up(error.failure, job, means.live.config.retry, killed=killed):
            raise
        kind = FAILURES[error.failure]
        detail = error.detail if isinstance(error, TaskFailed) else str(error)
        why = ": ".join(filter(None, (kind.message, detail)))
        if job.redo_stage == "diarize" and job.shown is not None:  # it has better ones than none
            if kind.fault != "machine":
                raise
            raise TaskFailed("diarizer_unusable", f"{why}; {kind.advice}") from error
    why = f"no speakers: {why}"
    log.warning("%s", why)
    advice = kind.advice.partition(", then retry")[0]  # a completed job is redone instead
    again = f"scriberrctl redo {job.id} --stage diarize"
    return None, ("; ".join(filter(None, (why, advice, f"then: {again}"))),)


def gives_up(failure: str, job: Job, retry: Retry, *, killed: int = 0) -> bool:
    """Whether a job is completed without speakers because of this failure.

    Args:
        failure: a key of FAILURES.
        job: as it was claimed.
        retry: its section of the configuration.
        killed: how many earlier runs somebody killed the worker of.
    """
    if job.settings.diarize == "required":
        return False
    if failure == TOO_OFTEN:
        return True
    match FAILURES[failure].fault:
        case "machine" if failure == "worker_killed":  # by what spares memory, again and again
            return killed + 1 >= retry.interruptions
        case "machine":  # what is wrong with the diarizer may stay so for ever
            return FAILURES[failure].part == "diarizer"
        case "worker":
            return job.failures + 1 >= retry.attempts
        case "file":  # it is too long, or gone: but its words are there
            return True


async def _found(run: Run, means: Means) -> Diarization:
    job, config, clock = run.job, means.live.config, means.clock
    run.prepare()
    if job.settings.diarize == "auto" and job.interruptions >= config.retry.interruptions:
        raise TaskFailed(TOO_OFTEN, f"{job.interruptions} times in a row")
    work = await means.store.read(jobs.work, job.id)
    task = _task(run, work, config)
    most = job.settings.max_diarize
    if task.duration > most > 0:
        raise TaskFailed("too_long_to_diarize", f"{task.duration:.0f} s; max_diarize is {most:g}")
    await means.preflights.require(job.settings)
    began = clock.monotonic()
    source = await means.opened(job, run.heartbeat)
    try:
        found = await run.diarize(task, source)
    finally:
        start(os.close, source)
    await means.check_unchanged(job, run.heartbeat)
    found = replace(found, seconds=round(clock.monotonic() - began, 3))
    await means.library.keep_turns(job, found)
    await means.store.insist(
        jobs.diarized,
        run.lease,
        speakers=len({turn.speaker for turn in found.turns}),
        seconds=found.seconds,
        device=found.device,
        now=clock.time(),
    )
    return found


def _task(run: Run, work: jobs.Work, config: Config) -> protocol.Diarize:
    job, pool = run.job, run.pool
    if work.finished is None:
        raise TaskFailed("internal_error", "the words are missing")
    settings = job.settings
    track = settings.audio_track
    if track == "speech":  # the one that the words are of
        track = "default" if work.probe is None or work.probe.track is None else work.probe.track
    return protocol.Diarize(
        job=job.id,
        lease=job.lease,
        diarizer=settings.diarizer,
        model=settings.diarization_model,
        hints=protocol.Hints(
            speakers=settings.speakers,
            min_speakers=settings.min_speakers,
            max_speakers=settings.max_speakers,
        ),
        track=track,
        duration=work.finished.duration,
        device=pool.device if pool.diarize_device == "auto" else pool.diarize_device,
        threads=int(pool.threads),
        share=run.share,
        auto_download=config.daemon.auto_download,
        model_cache=config.daemon.model_cache,
    )
