"""A claimed job from its recording to its transcript."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from scriberrd import gathering, jobs, ladder, protocol, sources
from scriberrd.errors import TaskFailed
from scriberrd.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.config import Config, Inbox
    from scriberrd.folders import Folders
    from scriberrd.model import Job
    from scriberrd.saving import Publisher
    from scriberrd.slot import Slot
    from scriberrd.store import Store

log = logging.getLogger(__name__)


async def run(
    slot: Slot,
    job: Job,
    *,
    config: Config,
    store: Store,
    folders: Folders,
    publisher: Publisher,
    loaded: Callable[[], None],
) -> Job:
    """Transcribe what is not done yet, and publish it; gives the completed job.

    Args:
        slot: where the worker runs.
        job: as it was claimed.
        config: of the daemon.
        store: where what is done is kept.
        folders: asks what lies in the inbox and the output folder.
        publisher: brings the transcript there.
        loaded: is called when the model is in memory.

    Raises:
        Interrupted, TaskFailed, WorkerDied, LeaseLost: see Slot.run.
        StoreError: the database can't be used.
    """
    inbox = config.inbox(job.inbox)
    if inbox is None:
        raise TaskFailed("inbox_unavailable", f"no inbox {job.inbox!r} is configured")
    inboxes = {one.name: one for one in config.inboxes}
    found = await gathering.known(store, folders, inboxes, job)
    if found is None:
        source = await asyncio.to_thread(_open, inbox, job)
        try:
            work = await store.read(jobs.work, job.id)
            if work.finished is None:
                await slot.run(
                    _task(slot, job, work, config),
                    source,
                    stop_timeout=config.daemon.stop_timeout,
                    limits=Limits(config.retry),
                    loaded=loaded,
                )
                await asyncio.to_thread(_check_unchanged, inbox, job)
        finally:
            os.close(source)
    with store.reader() as db:
        text = found or await gathering.gather(store, db, job)
        return await publisher.save(inbox, job, text, sharing=config.sharing(inbox))


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


def _open(inbox: Inbox, job: Job) -> int:
    """Open the version of the recording that the job is about."""
    try:
        return sources.open_version(inbox.path, job.path, job.identity)
    except sources.SourceChanged as error:
        raise TaskFailed(error.code) from error
    except OSError as error:
        code = sources.failure_code(error)
        raise TaskFailed(code, error.strerror or type(error).__name__) from error


def _check_unchanged(inbox: Inbox, job: Job) -> None:
    """Drop the result of a recording that was replaced while it was transcribed."""
    try:
        os.close(_open(inbox, job))
    except TaskFailed as error:
        if error.failure == "source_changed":
            raise
        # Gone or unreadable now: it was read to its end, and its transcript is worth keeping.
