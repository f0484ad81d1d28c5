"""Everything of a recording goes, but the recording itself and what people have edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from scriberrd.errors import IllegalMove, PurgeFailed
from scriberrd.model import TERMINAL
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from scriberrd.config import Config
    from scriberrd.library.library import Library
    from scriberrd.model import Job
    from scriberrd.output.publication import Publisher
    from scriberrd.queue.store import Store


async def purge(
    store: Store, publisher: Publisher, library: Library, config: Config, id_: int, now: float
) -> Job:
    """Forget an ended job, with what it has published and what the library has of its bytes.

    Gives the job as it was: its outputs are those that are deleted now, and what is left of all
    that was published of the recording was edited.

    It can be tried again where it fails: the job goes last.

    Raises:
        JobNotFound: no such job.
        IllegalMove: it has not ended.
        PurgeFailed: its files can't be deleted.
    """
    job = await store.read(queries.get, id_)
    if job.state not in TERMINAL:
        raise IllegalMove(id_, job.state, "be removed")
    inbox = config.inbox(job.inbox)
    if inbox is None:
        raise PurgeFailed(f"no inbox {job.inbox!r} is configured, which knows where its files are")
    try:
        left = await publisher.purge(inbox, job)
    except OSError as error:
        raise PurgeFailed(f"its files can't be deleted: {error.strerror}") from error
    if job.sha256 is not None:
        await library.forget(job.sha256)
    await store.run(jobs.remove, id_, now)
    gone = tuple(name for name in job.outputs if name not in left)
    return msgspec.structs.replace(job, outputs=gone, edited=tuple(left))
