"""The story of a job, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd.asking import Who, asked_by
from scriberrd.errors import WorkerDied
from scriberrd.queue import jobs
from scriberrd.queue.jobs import Lease
from scriberrd.queue.queries import LARGEST

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.model import Job


async def story(server: Server, id_: int = 1) -> list[str]:
    async with server.http.get(f"/v1/jobs/{id_}/logs") as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        return (await response.text()).splitlines()


async def died(server: Server, job: Job, detail: str) -> None:
    """Its worker has died, after it printed what nobody else is to read."""
    death = WorkerDied(-9, "token hf_secret in /home/anna", "worker_killed", detail)
    await server.store.run(
        jobs.fail,
        Lease(job.id, job.lease),
        death.failure,
        detail,
        retry=replace(server.config.retry, backoff=0.0),
        now=server.clock.now,
        died=death,
    )


async def test_it_tells_of_every_turn_and_of_how_it_ended(server: Server) -> None:
    with asked_by(Who(1000, "anna\x1b")):
        await server.submit()
    server.clock.now += 1
    await died(server, await server.claim(), "it was ended")
    why = "worker_killed: somebody killed the worker process: it was ended"
    job = await server.claim()
    await server.progress(job, 50.0)
    server.clock.now += 4
    await server.complete(job)
    assert await story(server) == [
        "2023-11-14T22:13:20Z queued, by anna\\x1b",
        "2023-11-14T22:13:21Z started on worker cpu: run 1",
        f"2023-11-14T22:13:21Z back in the queue: {why}; next try at once",
        "2023-11-14T22:13:21Z started on worker cpu: run 2",
        "2023-11-14T22:13:25Z completed in 4.0 s, real-time factor 0.040, base on cpu, int8",
    ]


async def test_it_tells_why_a_job_has_failed(server: Server) -> None:
    await server.submit()
    await server.fail(await server.claim(), detail="track 3 of 1")
    assert (await story(server))[-1].endswith(
        "Z failed: no_audio_stream: the file has no sound: track 3 of 1"
    )


async def test_of_a_job_that_is_none_there_is_no_story(server: Server) -> None:
    assert (await server.get("/v1/jobs/9/logs", status=404))["code"] == "job_not_found"
    assert (await server.get(f"/v1/jobs/{LARGEST}/logs", status=404))["code"] == "job_not_found"
