"""Where the transcript of a job comes from: its checkpoints, or one that is there already."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from scriberrd import transcript
from scriberrd.errors import TaskFailed
from scriberrd.files.folders import NoAnswer
from scriberrd.output import published, staging
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.model import Job
    from scriberrd.queue.queries import Output
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Result, Transcript

log = logging.getLogger(__name__)

USUAL = 3  # names of outputs, before they are only numbered


async def gather(store: Store, db: apsw.Connection, job: Job) -> Result:
    """Join the checkpoints of a job whose blocks are all done.

    Args:
        store: where they are.
        db: a connection that stays open for as long as the result is used.
        job: as it was claimed.
    """
    work = await store.read(jobs.work, job.id)
    if work.probe is None or work.engine is None or work.finished is None:
        raise TaskFailed("internal_error", "the record of the finished blocks is incomplete")
    return await asyncio.to_thread(
        transcript.assemble,
        queries.Blocks(db, job.id),
        duration=work.finished.duration,
        engine=work.engine,
        source=transcript.SourceInfo(
            name=job.name,
            sha256=job.sha256 or "",
            size=job.identity.size,
            container=work.probe.container,
            codec=work.probe.codec,
            channels=work.probe.channels,
        ),
        processing_seconds=round(work.seconds, 3),
        warnings=work.finished.warnings,
    )


async def known(
    store: Store, folders: Folders, inboxes: Mapping[str, Inbox], job: Job
) -> Transcript | None:
    """A transcript of these bytes that is there already, unless the job is to be done anew."""
    if job.redo:
        return None
    return await adopt(store, folders, inboxes[job.inbox], job) or await borrow(
        store, folders, inboxes, job
    )


async def adopt(store: Store, folders: Folders, inbox: Inbox, job: Job) -> Transcript | None:
    """The transcript of these very bytes that lies where this job would publish its own.

    That is so when the database was lost or restored, and does not know the file any more. One
    that it does know belongs to a job, and is not looked at here.
    """
    bases = islice(staging.candidates(job.path, job.sha256 or ""), USUAL)
    names = await store.read(jobs.unlisted, job.inbox, [base + b".json" for base in bases])

    def look() -> Transcript | None:
        for name in names:
            with contextlib.suppress(OSError, ValueError):  # there is none, or it is another's
                if not published.is_of(inbox.output, name, job.sha256 or ""):
                    continue
                found = transcript.decode(published.read(inbox.output, name))
                if found.source.sha256 == job.sha256:
                    return found
        return None

    try:
        found = await folders.run(inbox.output, look)
    except NoAnswer:
        return None
    if found is not None:
        log.info("job %d: its transcript is there already", job.id)
    return found


async def borrow(
    store: Store, folders: Folders, inboxes: Mapping[str, Inbox], job: Job
) -> Transcript | None:
    """The transcript of a completed job about the same bytes, made with the same settings."""
    twin = await store.read(jobs.twin, job)
    inbox = None if twin is None else inboxes.get(twin.inbox)
    if twin is None or inbox is None:
        return None
    outputs = await store.read(queries.outputs, twin.id)
    output = next((one for one in outputs if one.suffix == "json" and not one.edited), None)
    if output is None:
        return None

    def read(output: Output) -> Transcript:
        return transcript.decode(published.read(inbox.output, output.name, output.prints))

    try:
        found = await folders.run(inbox.output, read, output)
    except (OSError, ValueError):
        return None  # moved, edited or too large: the recording is transcribed again
    if found.source.sha256 != job.sha256:
        return None
    return msgspec.structs.replace(
        found, source=msgspec.structs.replace(found.source, name=job.name)
    )
