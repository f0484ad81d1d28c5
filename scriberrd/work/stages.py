"""A claimed job from its recording to its transcript."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from scriberrd import protocol
from scriberrd.files.folders import start
from scriberrd.library.adoption import adopt
from scriberrd.library.gathering import gather, shown_in
from scriberrd.library.remaking import remade
from scriberrd.logs import Event
from scriberrd.output import departures
from scriberrd.queue import jobs, queries
from scriberrd.transcript import PENDING
from scriberrd.work import bounds, fallbacks
from scriberrd.work.diarizing import diarize, wants

if TYPE_CHECKING:
    from scriberrd.config import Config
    from scriberrd.files.folders import Heartbeat
    from scriberrd.model import Job, Shown
    from scriberrd.transcript import Diarization, Result, Transcript
    from scriberrd.work.means import Means
    from scriberrd.work.run import Run

log = logging.getLogger(__name__)


async def run(run: Run, means: Means) -> Job:
    """Go through all stages that are left of a job; gives the completed job.

    Raises:
        TaskFailed: the job can't go on.
        WorkerDied: nor can it because a worker did.
        LeaseLost: it was taken back.
        StoreError: the database can't be used.
    """
    job = run.job
    if job.redo_stage == "merge":
        library, inbox = means.library, means.inbox(job)
        again = await remade(library, means.store, means.folders, inbox, job)
        if again is not None:
            await _put(run, means, again.text, await run.save(merged=True))
            return await dispose(run, means, *again)
    bounds.check(means.inbox(job), job)
    known = await means.library.turns(job) if wants(job) else None
    if known is None and job.settings.diarize == "required":
        await means.preflights.require(job.settings)  # before hours of work that would wait then
    found = await transcribe(run, means)
    why: tuple[str, ...] = ()
    silent = found is None and not await means.store.read(jobs.spoken, job.id)
    if wants(job) and not (found or known or silent):
        await _publish_words(run, means)
        known, why = await diarize(run, means)
    text, shown = await publish(run, means, found, diarization=known, warnings=why)
    return await dispose(run, means, text, shown)


async def transcribe(run: Run, means: Means) -> Transcript | None:
    """Have all blocks done that are not, unless there is a transcript already, which it gives."""
    job, store, inbox = run.job, means.store, means.inbox(run.job)
    if found := await adopt(store, means.folders, inbox, job):
        bounds.check_duration(inbox, found.duration)
        await store.insist(jobs.adopted, run.lease, now=means.clock.time())
        log.info("found its transcript, nothing to do")
        return found
    work = await store.read(jobs.work, job.id)
    if work.finished is not None:
        await means.check_unchanged(job, run.heartbeat)
        await means.library.keep(store, job)  # the run that did it may not have come so far
        return None
    allow = partial(bounds.check_duration, None if job.redo else inbox)
    if await means.library.restore(store, job, allow):
        return None
    if job.redo_stage is not None and work.last is None:
        log.warning("its words are not kept any more: transcribing it again")
        await store.insist(jobs.begin_anew, run.lease)
    source = await means.opened(job, run.heartbeat)
    try:
        await run.transcribe(_task(run, work, means.live.config), source)
    finally:
        start(os.close, source)
    await means.check_unchanged(job, run.heartbeat)
    await means.library.keep(store, job)
    return None


async def publish(
    run: Run,
    means: Means,
    found: Transcript | None,
    *,
    diarization: Diarization | None = None,
    warnings: tuple[str, ...] = (),
) -> tuple[Transcript | Result, Shown | None]:
    """Bring the transcript into its files: the one that was found, or that of the blocks.

    Args:
        run: of the job.
        means: what there is to work with.
        found: a transcript that was there already.
        diarization: who speaks when, if that is known.
        warnings: that the reader is told besides.

    Returns:
        The transcript, and which speakers it shows.
    """
    job = run.job
    heartbeat = await run.save(merged=diarization is not None)
    with means.store.reader() as db:
        text: Transcript | Result
        if found is None:
            work, blocks = await means.store.read(jobs.work, job.id), queries.Blocks(db, job.id)
            text, shown = await asyncio.to_thread(
                gather, work, blocks, job, diarization=diarization, warnings=warnings
            )
        else:
            text, shown = found, shown_in(found, job)
        await _put(run, means, text, heartbeat)
    for warning in text.warnings:
        log.info("%s", warning)
    return text, shown


async def _put(run: Run, means: Means, text: Transcript | Result, heartbeat: Heartbeat) -> None:
    inbox = means.inbox(run.job)
    sharing = means.live.config.sharing(inbox)  # there may be another output folder by now
    await means.publisher.publish(inbox, run.job, text, sharing=sharing, heartbeat=heartbeat)
    log.info("published", extra={"event": Event.JOB_PUBLISHED})


async def _publish_words(run: Run, means: Means) -> None:
    """Publish the words before it is known who says them, unless something is published already.

    Whoever requires the speakers waits for them; and what is done anew stays until it is complete.
    """
    job = run.job
    if job.settings.diarize == "auto" and not (job.redo or job.outputs or job.edited):
        await publish(run, means, None, warnings=(PENDING,))
        await means.store.insist(jobs.words_published, run.lease, now=means.clock.time())


async def dispose(
    run: Run, means: Means, text: Transcript | Result, shown: Shown | None = None
) -> Job:
    """Complete the job: nothing is left to do."""
    return await means.store.insist(
        jobs.finish,
        run.lease,
        language=text.language,
        now=means.clock.time(),
        duration=text.duration,
        shown=shown,
        leaving=departures.after(means.inbox(run.job), run.job),
    )


def _task(run: Run, work: jobs.Work, config: Config) -> protocol.Task:
    job, resume = run.job, None
    if (last := work.last) is not None:
        log.info("resumes at %.0f s", last.end)
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
