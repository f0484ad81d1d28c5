"""A claimed job from its recording to its transcript."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, TypeVar

from scriberrd import protocol
from scriberrd.errors import TaskFailed
from scriberrd.failures import FAILURES
from scriberrd.files import sources
from scriberrd.files.folders import start
from scriberrd.library.adoption import adopt
from scriberrd.library.gathering import gather
from scriberrd.queue import jobs
from scriberrd.work import ladder
from scriberrd.work.limits import Limits
from scriberrd.work.slot import POLL, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from scriberrd.config import Config, Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.library.library import Library
    from scriberrd.model import Clock, Job
    from scriberrd.output.publication import Publisher
    from scriberrd.queue.store import Store
    from scriberrd.work.slot import Slot

log = logging.getLogger(__name__)

T = TypeVar("T")
GRACE = 5.0  # seconds that a publication gets when the daemon stops


async def run(  # noqa: PLR0913
    slot: Slot,
    job: Job,
    *,
    live: Live,
    store: Store,
    folders: Folders,
    publisher: Publisher,
    library: Library,
    clock: Clock,
    loaded: Callable[[], None],
) -> Job:
    """Transcribe what is not done yet, and publish it; gives the completed job.

    Args:
        slot: where the worker runs.
        job: as it was claimed.
        live: the configuration.
        store: where what is done is kept.
        folders: asks what lies in the inbox and the output folder.
        publisher: brings the transcript there.
        library: has what was done of the same bytes.
        clock: where time comes from.
        loaded: is called when the model is in memory.

    Raises:
        Interrupted, TaskFailed, WorkerDied, LeaseLost: see Slot.run.
        StoreError: the database can't be used.
    """
    config = live.config
    inbox = _inbox(config, job)
    found = await _patiently(slot, adopt(store, folders, inbox, job))
    if found is None:
        work = await store.read(jobs.work, job.id)
        restored = work.finished is None and await library.restore(store, job)
        if work.finished is None and not restored:
            source = await _patiently(slot, _open(folders, inbox, job))
            try:
                await slot.run(
                    _task(slot, job, work, config),
                    source,
                    stop_timeout=config.daemon.stop_timeout,
                    limits=Limits(config.retry),
                    loaded=loaded,
                )
                await _check_unchanged(slot, folders, inbox, job)
            finally:
                start(os.close, source)
        if not restored:
            await library.keep(store, job)
    config = live.config  # its output folder may have been moved meanwhile
    inbox = _inbox(config, job)
    with store.reader() as db:
        text = found or await gather(store, db, job)
        saving = publisher.publish(inbox, job, text, sharing=config.sharing(inbox))
        await _patiently(slot, saving, grace=GRACE)
    return await store.insist(
        jobs.finish,
        jobs.Lease(job.id, job.lease),
        language=text.language,
        now=clock.time(),
        duration=text.duration,
    )


def _inbox(config: Config, job: Job) -> Inbox:
    inbox = config.inbox(job.inbox)
    if inbox is None:
        raise TaskFailed("inbox_unavailable", f"no inbox {job.inbox!r} is configured")
    return inbox


def _task(slot: Slot, job: Job, work: jobs.Work, config: Config) -> protocol.Task:
    resume = None
    if (last := work.last) is not None:
        log.info("job %d goes on at %.0f s", job.id, last.end)
        resume = protocol.Resume(
            block=last.number + 1,
            position=last.end,
            language=last.language,
            language_probability=last.language_probability,
            prompt=last.prompt,
        )
    settings, hardware = ladder.adapted(job, slot.pool)
    return protocol.Task(
        job=job.id,
        lease=job.lease,
        settings=settings,
        hardware=hardware,
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


async def _patiently(slot: Slot, work: Coroutine[None, None, T], *, grace: float = 0.0) -> T:
    """Wait for file systems for as long as it takes, unless the slot is wanted for something else.

    Args:
        slot: where the run is.
        work: what waits for them.
        grace: seconds that it gets from then on; what has some is only given up for a stop.
    """
    task = asyncio.ensure_future(work)
    waited = 0.0
    try:
        while not (await asyncio.wait({task}, timeout=POLL))[0]:
            if slot.interruption == "release" or (slot.interruption and not grace):
                waited += POLL
            if waited > grace:
                raise Interrupted
        return task.result()
    finally:
        task.cancel()


async def _open(folders: Folders, inbox: Inbox, job: Job) -> int:
    """Open the version of the recording that the job is about."""
    try:
        return await folders.open(
            inbox.path, sources.open_version, inbox.path, job.path, job.identity
        )
    except sources.SourceChanged as error:
        raise TaskFailed(error.code) from error
    except OSError as error:
        code = sources.failure_code(error)
        raise TaskFailed(code, error.strerror or type(error).__name__) from error


async def _check_unchanged(slot: Slot, folders: Folders, inbox: Inbox, job: Job) -> None:
    """Drop the result of a recording that was replaced while it was transcribed."""
    try:
        start(os.close, await _patiently(slot, _open(folders, inbox, job)))
    except TaskFailed as error:
        if error.failure == "source_changed":
            raise
        # Gone or unreadable now: it was read to its end, and its transcript is worth keeping.
    except Interrupted:  # so is it if nobody can say yet what has become of the recording
        pass
