"""The transcript of a job that goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace
from support import block

from scriberrd.queue import jobs
from scriberrd.queue.jobs import Lease
from scriberrd.transcript import Segment

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.model import Job

URL = "/v1/jobs/1/transcript?partial=true"


async def say(server: Server, job: Job, number: int, text: str) -> None:
    """The worker has done a block."""
    start = number * 10.0
    said = replace(block(number), segments=(Segment(start=start, end=start + 9, text=text),))
    lease = Lease(job.id, job.lease)
    await server.store.run(jobs.checkpoint, lease, said, expires=1e9, now=server.clock.now)


async def read(server: Server, format_: str) -> tuple[str | None, str]:
    async with server.http.get(f"{URL}&format={format_}") as response:
        assert response.status == 200, await response.text()
        return response.headers.get("Scriberrd-Partial"), await response.text()


async def test_it_grows_with_every_block(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    await server.progress(job, 0.0)
    assert await read(server, "txt") == ("true", "")
    await say(server, job, 0, "Guten Tag.")
    assert await read(server, "txt") == ("true", "Guten Tag.\n")
    await say(server, job, 1, "Wie geht es?")
    assert await read(server, "txt") == ("true", "Guten Tag. Wie geht es?\n")
    text = json.loads((await read(server, "json"))[1])
    assert [one["text"] for one in text["segments"]] == ["Guten Tag.", "Wie geht es?"]
    assert text["duration"] == 20.0
    assert text["warnings"] == ["this is not all: 20 s of 100 s are transcribed so far"]


async def test_a_completed_job_has_its_whole_transcript(server: Server) -> None:
    await server.submit()
    await server.complete(await server.claim())
    assert await read(server, "txt") == (None, "Grüß Gott.\n")


async def test_what_a_failed_job_has_is_not_lost(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    await server.progress(job, 0.0)
    await say(server, job, 0, "Guten Tag.")
    await server.fail(job)
    assert await read(server, "txt") == ("true", "Guten Tag.\n")


async def test_before_anything_is_transcribed(server: Server) -> None:
    await server.submit()
    problem = await server.get(URL, status=409)
    assert (problem["code"], problem["detail"]) == (
        "transcript_not_ready",
        "job 1 is queued: nothing is transcribed yet",
    )


async def test_only_who_asks_for_it_gets_it(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    await server.progress(job, 0.0)
    await say(server, job, 0, "Guten Tag.")
    await server.get("/v1/jobs/1/transcript", status=409)
    problem = await server.get("/v1/jobs/1/transcript?partial=perhaps", status=422)
    assert problem["detail"] == "partial: 'perhaps' is not true or false"
