"""A claimed job from its recording to its transcript."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from scriberrd import protocol
from scriberrd.errors import SourceChanged, TaskFailed
from scriberrd.failures import FAILURES
from scriberrd.files import sources
from scriberrd.files.folders import start
from scriberrd.library.adoption import adopt
from scriberrd.library.gathering import gather
from scriberrd.queue import jobs
from scriberrd.work import fallbacks

if TYPE_CHECKING:
    from scriberrd.config import Config, Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.library.library import Library
    from scriberrd.model import Clock, Job
    from scriberrd.output.publication import Publisher
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Result, Transcript
    from scriberrd.work.preflight import Preflights
    from scriberrd.work.run import Run

log = logging.getLogger(__name__)


class Means(NamedTuple):
    """What the stages work with."""

    live: Live
    store: Store
    clock: Clock
    folders: Folders
    publisher: Publisher
    library: Library
    preflights: Preflights


async def run(run: Run, means: Means) -> Job:
    """Go through all stages that are left of a job; gives the completed job.

    Raises:
        TaskFailed: the job can't go on.
        LeaseLost: it was taken back.
        StoreError: the database can't be used.
    """
    found = await transcribe(run, means)
    text = await publish(run, means, found)
    return await dispose(run, means, text)


async def transcribe(run: Run, means: Means) -> Transcript | None:
    """Have all blocks done that are not, unless there is a transcript already, which it gives."""
    job, inbox, store = run.job, _inbox(means.live.config, run.job), means.store
    if found := await adopt(store, means.folders, inbox, job):
        return found
    work = await store.read(jobs.work, job.id)
    if work.finished is None:
        if await means.library.restore(store, job):
            return None
        source = await _open(means.folders, inbox, job)
        try:
            await run.transcribe(_task(run, work, means.live.config), source)
        finally:
            start(os.close, source)
    await _check_unchanged(means.folders, inbox, job)
    if work.finished is None:
        await means.library.keep(store, job)
    return None


async def publish(run: Run, means: Means, found: Transcript | None) -> Transcript | Result:
    """Bring the transcript into its files: the one that was found, or that of the blocks."""
    job, config = run.job, means.live.config  # which may have another output folder by now
    inbox = _inbox(config, job)
    heartbeat = await run.save()
    with means.store.reader() as db:
        text = found or await gather(means.store, db, job)
        await means.publisher.publish(
            inbox, job, text, sharing=config.sharing(inbox), heartbeat=heartbeat
        )
    for warning in text.warnings:
        log.info("job %d: %s: %s", job.id, job.name, warning)
    return text


async def dispose(run: Run, means: Means, text: Transcript | Result) -> Job:
    """Complete the job: nothing is left to do."""
    return await means.store.insist(
        jobs.finish,
        run.lease,
        language=text.language,
        now=means.clock.time(),
        duration=text.duration,
    )


def _inbox(config: Config, job: Job) -> Inbox:
    inbox = config.inbox(job.inbox)
    if inbox is None:
        raise TaskFailed("inbox_unavailable", f"no inbox {job.inbox!r} is configured")
    return inbox


def _task(run: Run, work: jobs.Work, config: Config) -> protocol.Task:
    job, resume = run.job, None
    if (last := work.last) is not None:
        log.info("job %d resumes at %.0f s", job.id, last.end)
        resume = protocol.Resume(
            block=last.number + 1,
            position=last.end,
            language=last.language,
            language_probability=last.language_probability,
        )
    settings, hardware = fallbacks.adapted(job, run.pool)
    return protocol.Task(
        job=job.id,
        lease=job.lease,
        settings=settings,
        hardware=hardware,
        share=run.share,
        resume=resume,
        auto_download=config.daemon.auto_download,
        model_cache=config.daemon.model_cache,
    )


async def unavailable(folders: Folders, config: Config, job: Job) -> TaskFailed | None:
    """What keeps the recording of a run from being read, if that is the machine's fault.

    A worker that reads from a share whose server has gone stands still as one that hangs does.
    """
    inbox = config.inbox(job.inbox)
    try:
        if inbox is not None:
            start(os.close, await _open(folders, inbox, job))
    except TaskFailed as error:
        return error if FAILURES[error.failure].fault == "machine" else None
    return None


async def _open(folders: Folders, inbox: Inbox, job: Job) -> int:
    """Open the version of the recording that the job is about."""
    try:
        return await folders.open(
            inbox.path, sources.open_version, inbox.path, job.path, job.identity
        )
    except SourceChanged as error:
        raise TaskFailed(error.code) from error
    except OSError as error:
        code = sources.failure_code(error)
        raise TaskFailed(code, error.strerror or type(error).__name__) from error


async def _check_unchanged(folders: Folders, inbox: Inbox, job: Job) -> None:
    """Drop the result of a recording that was replaced while it was transcribed."""
    try:
        start(os.close, await _open(folders, inbox, job))
    except TaskFailed as error:
        if error.failure == "source_changed":
            raise
        # Gone or unreadable now: it was read to its end, and its transcript is worth keeping.
