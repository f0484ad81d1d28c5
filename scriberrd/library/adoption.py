"""A transcript that was published before the database was lost, and is the job's own."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import UNSET

from scriberrd import transcript
from scriberrd.errors import NoAnswer
from scriberrd.output import naming, published
from scriberrd.queue import jobs
from scriberrd.transcript import PENDING

if TYPE_CHECKING:
    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.model import Job
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Transcript

USUAL = 3  # names of outputs, before they are only numbered


async def adopt(store: Store, folders: Folders, inbox: Inbox, job: Job) -> Transcript | None:
    """The transcript of these very bytes that lies where this job would publish its own, if any.

    That is so when the database was lost or restored, and does not know the file any more. One
    that it does know belongs to a job, and is not looked at here.
    """
    if job.redo:
        return None
    bases = islice(naming.of(inbox, job), USUAL)
    names = await store.read(jobs.unlisted, job.inbox, [base + b".json" for base in bases])

    def look() -> Transcript | None:
        for name in names:
            with contextlib.suppress(OSError, ValueError):  # there is none, or it is another's
                if not published.is_of(inbox.output, name, job.sha256 or ""):
                    continue
                found = transcript.decode(published.read(inbox.output, name))
                if found.source.sha256 == job.sha256 and _suffices(found, job):
                    return found
        return None

    try:
        return await folders.run(inbox.output, look)
    except NoAnswer:
        return None


def _suffices(found: Transcript, job: Job) -> bool:
    """Whether a transcript has all that the job is to find out."""
    if job.settings.diarize == "required" and found.turns is UNSET:
        return not found.segments  # where nobody speaks there are no turns
    return PENDING not in found.warnings
