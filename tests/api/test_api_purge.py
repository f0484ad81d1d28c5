"""What is purged is gone: job, files and finished work; what people have edited is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.library.library import NAME
from scriberrd.queue import queries

if TYPE_CHECKING:
    from api_server import Server

PURGE = "/v1/jobs/1?purge=true"


async def test_job_and_files_are_gone_and_edited_ones_stay(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim(), formats=("json", "txt", "srt"))
    out = server.inbox.output
    (out / "talk.mp3.txt").write_text("corrected by hand")
    gone = await server.call("DELETE", PURGE)
    assert gone["outputs"] == ["talk.mp3.json", "talk.mp3.srt"]
    assert gone["edited"] == ["talk.mp3.txt"]
    assert [file.name for file in out.iterdir()] == ["talk.mp3.txt"]
    await server.get("/v1/jobs/1", status=404)
    assert await server.store.read(queries.outputs_of_recording, "default", b"talk.mp3") == []
    assert job.id == 1


async def test_a_job_that_has_not_ended_stays_with_its_files(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim())
    await server.intake.redo(job.id)
    assert (await server.call("DELETE", PURGE, status=409))["code"] == "illegal_move"
    assert len(list(server.inbox.output.iterdir())) == 1


async def test_where_files_can_not_be_deleted_the_job_stays(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim())
    server.inbox.output.rename(server.inbox.output.with_name("away"))
    problem = await server.call("DELETE", PURGE, status=503)
    assert (problem["code"], "No such file" in problem["detail"]) == ("purge_failed", True)
    assert (await server.store.read(queries.get, job.id)).outputs == job.outputs


async def test_a_library_that_can_not_be_used_keeps_nobody_from_purging(server: Server) -> None:
    await server.submit("talk.mp3")
    await server.complete(await server.claim())
    (server.inbox.path.parent / NAME).mkdir()
    await server.call("DELETE", PURGE)
    await server.get("/v1/jobs/1", status=404)
