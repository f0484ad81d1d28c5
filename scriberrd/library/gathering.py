"""From the checkpoints of a job to its transcript."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from scriberrd import transcript
from scriberrd.errors import TaskFailed
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    import apsw

    from scriberrd.model import Job
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Result


async def gather(store: Store, db: apsw.Connection, job: Job) -> Result:
    """Join the checkpoints of a job whose blocks are all done.

    Args:
        store: where they are.
        db: a connection that stays open for as long as the result is used.
        job: as it was claimed.
    """
    work = await store.read(jobs.work, job.id)
    if work.probe is None or work.engine is None or work.finished is None:
        raise TaskFailed("internal_error", "checkpoints are missing")
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
        processing_seconds=work.finished.seconds,
        word_timestamps=job.settings.word_timestamps,
        warnings=work.finished.warnings,
    )
