"""The status tells how many queued jobs wait, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scriberrd.queue import jobs

if TYPE_CHECKING:
    from api_server import Server


async def waiting(server: Server) -> dict[str, Any]:
    told: dict[str, Any] = (await server.get("/v1/status"))["waiting"]
    return told


async def test_what_each_job_waits_for(server: Server) -> None:
    for number in range(3):
        await server.submit(f"{number}.mp3")
    retried = await server.fail(await server.claim(), "worker_crashed")
    now = server.clock.now
    assert await waiting(server) == {
        "paused": 0,
        "retry": 1,
        "machine": 0,
        "next_try": (await server.get("/v1/jobs/1"))["not_before"],
    }
    times = {"now": now, "expires": 1e9, "longest": 3600.0}
    await server.store.run(jobs.claim, "cpu", **times, admit=lambda job: 0.5 * (job.id == 2))
    told = await waiting(server)
    assert (told["retry"], told["machine"]) == (1, 1)
    assert told["next_try"] == "2023-11-14T22:13:20.500Z"
    server.clock.now = retried.not_before + 1  # both are due
    assert await waiting(server) == {"paused": 0, "retry": 0, "machine": 0, "next_try": None}


async def test_a_paused_job_waits_for_nothing_else(server: Server) -> None:
    await server.submit("a.mp3")
    await server.submit("b.mp3")
    await server.fail(await server.claim(), "worker_crashed")
    for scope in ({"inbox": "default"}, {}):
        await server.post("/v1/pause", json=scope)
        assert await waiting(server) == {"paused": 2, "retry": 0, "machine": 0, "next_try": None}
    await server.post("/v1/resume")
    await server.post("/v1/pause", json={"inbox": "other"})
    assert (await waiting(server))["paused"] == 0
