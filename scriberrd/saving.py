"""The stage `saving`: checkpoints become a transcript, its files, and a completed job.

It can be interrupted anywhere and run again: the same checkpoints give the same bytes, so a second
run finds its files in place, and knows them as its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from itertools import chain, islice
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

log = logging.getLogger(__name__)

USUAL = 3  # names of outputs, before they are only numbered


async def save(store: Store, clock: Clock, inbox: Inbox, job: Job, text: Transcript) -> Job:
    """Publish the transcript of a job, and complete the job.

    Raises:
        LeaseLost: the job was taken back; what is published belongs to its next run.
        TaskFailed: the output folder can't be written.
    """
    hold = jobs.Hold(job.id, job.lease)
    # What was published of an earlier run is replaced, whatever today's profile says of it.
    earlier = await store.read(listing.outputs, job.id)
    suffixes = (os.path.splitext(old.name)[1][1:].decode("latin-1") for old in earlier)
    formats = dict.fromkeys((*job.settings.formats, *FORMATS.keys() & set(suffixes), "json"))
    files = await asyncio.to_thread(
        lambda: {name.encode(): FORMATS[name](text) for name in formats}
    )
    try:
        await _publish(store, hold, inbox.output, job, files, earlier)
    except OSError as error:
        code = await asyncio.to_thread(_failure_code, str(inbox.output), error)
        raise TaskFailed(code, error.strerror or type(error).__name__) from error
    return await store.insist(
        jobs.finish, hold, language=text.language, now=clock.time(), duration=text.duration
    )


def _failure_code(output: str, error: OSError) -> str:
    """As `publish.failure_code`, unless only the names of this recording are the trouble."""
    code = publish.failure_code(error)
    if code == "disk_full":
        return code
    try:
        publish.try_folder(output)
    except OSError:
        return code
    return "output_blocked"


async def _publish(
    store: Store,
    hold: Hold,
    output: Path,
    job: Job,
    files: dict[bytes, bytes],
    earlier: list[listing.Output],
) -> None:
    root = os.fsencode(output)
    bases = (old.name.removesuffix(b".json") for old in earlier if old.name.endswith(b".json"))
    for base in chain(bases, publish.candidates(job.path, job.sha256 or "")):
        names = {base + b"." + suffix: content for suffix, content in files.items()}
        paths = {os.path.join(root, name): name for name in names}
        hashes = {path: hashlib.sha256(names[name]).hexdigest() for path, name in paths.items()}
        published = await store.insist(jobs.reserve, hold, paths, hashes)
        if published is None:
            continue
        owned = set(published)
        # A run that was fenced off meanwhile may have written another version here. (The same
        # version needs no care: publish.write leaves it where it is.)
        for path, begun in (await store.read(jobs.written, paths)).items():
            others = [other for other in begun if other != hashes[path]]
            if not others:
                continue
            if await asyncio.to_thread(publish.holds, path, paths[path], others):
                owned.add(paths[path])
        try:
            await asyncio.to_thread(publish.write, root, names, owned)
        except publish.NameTaken:
            foreign = [path for path, name in paths.items() if name not in published]
            await store.insist(jobs.unreserve, hold, foreign)
        else:
            if outdated := {old.path for old in earlier} - paths.keys():
                await store.insist(jobs.unreserve, hold, outdated)  # of a former output folder
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


async def known(store: Store, inbox: Inbox, job: Job) -> Transcript | None:
    """A transcript of these bytes that is there already, unless the job is to be done anew."""
    if job.redo:
        return None
    return await adopt(store, inbox, job) or await borrow(store, job)


async def adopt(store: Store, inbox: Inbox, job: Job) -> Transcript | None:
    """The transcript of these very bytes that lies where this job would publish its own.

    That is so when the database was lost or restored, and does not know the file any more. One
    that it does know belongs to a job, and is not looked at here.
    """
    for base in islice(publish.candidates(job.path, job.sha256 or ""), USUAL):
        name = base + b".json"
        path = os.path.join(os.fsencode(inbox.output), name)
        if await store.read(jobs.listed, path):
            continue
        try:
            found = transcript.decode(await asyncio.to_thread(publish.read, path, name))
        except (OSError, ValueError):
            continue  # there is none, or it is somebody else's
        if found.source.sha256 == job.sha256:
            log.info("job %d: its transcript is there already", job.id)
            return found
    return None


async def borrow(store: Store, job: Job) -> Transcript | None:
    """The transcript of a completed job about the same bytes, made with the same settings."""
    twin = await store.read(jobs.twin, job)
    if twin is None:
        return None
    outputs = await store.read(listing.outputs, twin.id)
    try:
        output = next(output for output in outputs if output.name.endswith(b".json"))
        content = await asyncio.to_thread(publish.read, *output)
        found = transcript.decode(content)
    except (StopIteration, OSError, ValueError):
        return None  # moved or edited by its owner: the recording is transcribed again
    as_published = await store.read(jobs.written, [output.path])
    digest = hashlib.sha256(content).hexdigest()
    if found.source.sha256 != job.sha256 or as_published != {output.path: [digest]}:
        return None
    return msgspec.structs.replace(
        found, source=msgspec.structs.replace(found.source, name=job.name)
    )
