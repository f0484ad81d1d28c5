"""Everything of a recording goes, but the recording itself and what people have edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from scriberrd.errors import PurgeFailed
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from scriberrd.config import Config
    from scriberrd.library.library import Library
    from scriberrd.model import Job
    from scriberrd.output.publisher import Publisher
    from scriberrd.queue.store import Store


async def purge(
    store: Store, publisher: Publisher, library: Library, config: Config, id_: int, now: float
) -> Job:
    """Forget an ended job, with what is published and what the library has of its recording.

    It can be tried again where it fails: the same id still tells what is to be deleted. Gives the
    job as it was: its outputs are those that are deleted now, and what is left was edited.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has not ended, or a newer job has its recording.
        PurgeFailed: not all of it can be deleted.
    """
    recordings = await store.read(jobs.purgeable, id_)
    if not await library.forget(recordings):
        raise PurgeFailed("the library can't be used: see the journal, and try again")
    # From here on nobody redoes it; its files are still known to be its own.
    job = await store.run(jobs.purge, id_, now)
    inbox = config.inbox(job.inbox)
    if inbox is None:
        raise PurgeFailed(f"no inbox {job.inbox!r} is configured, which knows where its files are")
    try:
        gone, left = await publisher.purge(inbox, job)
    except OSError as error:
        raise PurgeFailed(f"its files can't be deleted: {error.strerror}; try again") from error
    return msgspec.structs.replace(job, outputs=gone, edited=left)
