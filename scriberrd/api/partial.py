"""The transcript of a job that is not done: what its blocks have so far."""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, TYPE_CHECKING

from aiohttp import web

from scriberrd.errors import TranscriptNotReady
from scriberrd.library.gathering import gather
from scriberrd.output.formats import FORMATS
from scriberrd.queue import jobs, queries
from scriberrd.queue.transactions import transaction

if TYPE_CHECKING:
    from scriberrd.model import Job
    from scriberrd.queue.store import Store
    from scriberrd.settings import Format

HEADER = "Scriberrd-Partial"
PIECE = 1 << 18  # bytes that are sent at once
SMALL = 1 << 20  # bytes that are kept in memory; a long transcript goes into a temporary file


async def answer(
    store: Store, request: web.Request, id_: int, wanted: Format
) -> web.StreamResponse:
    """What is transcribed of a job so far, in this format.

    Raises:
        TranscriptNotReady: nothing is transcribed.
    """
    with tempfile.SpooledTemporaryFile(SMALL) as file:
        await asyncio.to_thread(_write, store, id_, wanted, file)
        response = web.StreamResponse(
            headers={"Content-Type": FORMATS[wanted].media_type, HEADER: "true"}
        )
        response.content_length = file.tell()
        await response.prepare(request)
        file.seek(0)
        if request.method != "HEAD":
            while piece := await asyncio.to_thread(file.read, PIECE):
                await response.write(piece)
        return response


def _write(store: Store, id_: int, wanted: Format, file: IO[bytes]) -> None:
    # In one transaction: the blocks go when the job is done.
    with store.reader() as db, transaction(db, write=False):
        job, work = queries.get(db, id_), jobs.work(db, id_)
        if work.engine is None or work.probe is None:
            raise TranscriptNotReady(f"job {id_} is {job.state}: nothing is transcribed yet")
        end = work.last.end if work.last else 0.0
        so_far = work.finished or jobs.Done(end, (_warning(job, end),), 0.0)
        text, _ = gather(work._replace(finished=so_far), queries.Blocks(db, id_), job)
        for piece in FORMATS[wanted].render(text, job.settings.speaker_labels):
            file.write(piece)


def _warning(job: Job, end: float) -> str:
    of = f" of {job.duration:.0f} s" if job.duration else ""
    return f"this is not all: {end:.0f} s{of} are transcribed so far"
