from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api_server import Server


async def test_a_queued_job_goes_before_the_others(server: Server) -> None:
    await server.submit("first.mp3")
    await server.submit("second.mp3")
    after = await server.post("/v1/jobs/2/priority", json={"priority": "high"})
    assert (after["id"], after["priority"]) == (2, "high")
    assert (await server.claim()).id == 2


async def test_it_keeps_its_priority(server: Server) -> None:
    await server.submit()
    await server.post("/v1/jobs/1/priority", json={"priority": "low"})
    await server.post("/v1/jobs/1/cancel")
    assert (await server.post("/v1/jobs/1/retry"))["priority"] == "low"


async def test_only_a_queued_job_has_another_priority(server: Server) -> None:
    await server.submit()
    await server.claim()
    refused = await server.post("/v1/jobs/1/priority", json={"priority": "low"}, status=409)
    assert refused["detail"] == "job 1 is processing: it can't have another priority"
    assert (await server.get("/v1/jobs/1"))["priority"] == "normal"
    refused = await server.post("/v1/jobs/1/priority", json={"priority": "top"}, status=422)
    assert refused["detail"].startswith("priority: 'top' is not one of ")
    await server.post("/v1/jobs/9/priority", json={"priority": "low"}, status=404)
