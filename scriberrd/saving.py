"""The stage `saving`: checkpoints become a transcript, its files, and a completed job.

It can be interrupted anywhere and run again: the same checkpoints give the same bytes, so a second
run finds its files in place, and knows them as its own.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

import msgspec

from scriberrd import jobs, listing, publish, transcript
from scriberrd.errors import TaskFailed
from scriberrd.formats import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from scriberrd.config import Inbox
    from scriberrd.jobs import Hold
    from scriberrd.model import Clock, Job
    from scriberrd.store import Store
    from scriberrd.transcript import Transcript


async def save(store: Store, clock: Clock, inbox: Inbox, job: Job, text: Transcript) -> Job:
    """Publish the transcript of a job, and complete the job.

    Raises:
        LeaseLost: the job was taken back; what is published belongs to its next run.
        TaskFailed: the output folder can't be written.
    """
    hold = jobs.Hold(job.id, job.lease)
    formats = dict.fromkeys((*job.settings.formats, "json"))
    files = await asyncio.to_thread(
        lambda: {name.encode(): FORMATS[name](text) for name in formats}
    )
    try:
        await _publish(store, hold, inbox.output, job, files)
    except OSError as error:
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "output_unwritable"
        raise TaskFailed(code, error.strerror or type(error).__name__) from error
    return await store.run(jobs.finish, hold, language=text.language, now=clock.time())


async def _publish(
    store: Store, hold: Hold, output: Path, job: Job, files: dict[bytes, bytes]
) -> None:
    root = os.fsencode(output)
    for base in publish.candidates(job.path, job.sha256 or ""):
        names = {base + b"." + suffix: content for suffix, content in files.items()}
        paths = {os.path.join(root, name): name for name in names}
        owned = await store.run(jobs.reserve, hold, paths)
        if owned is None:
            continue
        try:
            await asyncio.to_thread(publish.write, root, names, owned)
        except publish.NameTaken:
            foreign = [path for path, name in paths.items() if name not in owned]
            await store.run(jobs.unreserve, hold, foreign)
        else:
            return


async def gather(store: Store, job: Job) -> Transcript:
    """Join the checkpoints of a job whose blocks are all done."""
    work = await store.read(jobs.work, job.id)
    blocks = await store.read(listing.blocks, job.id)
    if work.probe is None or work.engine is None or work.finished is None:
        raise TaskFailed("internal_error", "the record of the finished blocks is incomplete")
    return await asyncio.to_thread(
        transcript.assemble,
        blocks,
        duration=work.finished.duration,
        engine=msgspec.structs.replace(work.engine, fallbacks=tuple(map(str, job.fallbacks))),
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


async def borrow(store: Store, job: Job) -> Transcript | None:
    """The transcript of a completed job about the same bytes, made with the same settings."""
    twin = await store.read(jobs.twin, job)
    if twin is None:
        return None
    outputs = await store.read(listing.outputs, twin.id)
    try:
        output = next(output for output in outputs if output.name.endswith(b".json"))
        found = transcript.decode(await asyncio.to_thread(publish.read, *output))
    except (StopIteration, OSError, ValueError):
        return None  # moved or edited by its owner: the recording is transcribed again
    if found.source.sha256 != job.sha256:
        return None
    return msgspec.structs.replace(
        found, source=msgspec.structs.replace(found.source, name=job.name)
    )
