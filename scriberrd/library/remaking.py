"""The transcript of a job once more: of what is kept, without a look at its recording."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from scriberrd import transcript
from scriberrd.library.gathering import gather, named, shown_in
from scriberrd.output import published
from scriberrd.queue import jobs, queries
from scriberrd.transcript import PENDING

if TYPE_CHECKING:
    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.library.library import Library
    from scriberrd.model import Job, Shown
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Result, Transcript


class Remade(NamedTuple):
    """A transcript that was made again, and the speakers that it shows."""

    text: Transcript | Result
    shown: Shown | None


async def remade(
    library: Library, store: Store, folders: Folders, inbox: Inbox, job: Job
) -> Remade | None:
    """The transcript of the words and turns that the library keeps, or the one that is published.

    Args:
        library: of the daemon.
        store: of its queue.
        folders: where files are read.
        inbox: of the job.
        job: with the settings that the transcript is to be made by.

    Returns:
        None: neither is there any more, or the published one was edited.
    """
    return await _of_the_library(library, store, job) or await _of_the_files(
        store, folders, inbox, job
    )


async def _of_the_library(library: Library, store: Store, job: Job) -> Remade | None:
    work = await store.read(jobs.work, job.id)
    kept = await library.words(job, work)
    turns = await library.turns(job) if job.settings.diarize != "off" else None
    if kept is None or (turns is None and job.settings.diarize != "off"):
        return None
    words = jobs.Work(kept.probe, kept.engine, kept.done, None)
    with suppress(LookupError):  # they have gone meanwhile
        return Remade(*await asyncio.to_thread(gather, words, kept.blocks, job, diarization=turns))
    return None


async def _of_the_files(store: Store, folders: Folders, inbox: Inbox, job: Job) -> Remade | None:
    files = [o for o in await store.read(queries.outputs, job.id) if o.suffix == "json"]

    def read() -> Transcript | None:
        for file in files:
            with suppress(OSError, ValueError):  # it has gone, or was edited
                return transcript.decode(published.read(inbox.output, file.name, file.prints))
        return None

    with suppress(OSError):  # the folder does not answer
        found = await folders.run(inbox.output, read)
        if found is not None and PENDING not in found.warnings:
            shown = shown_in(found, job)
            return Remade(replace(found, speakers=named(job, shown)), shown)
    return None
