"""What is purged is gone: job, files and finished work; what people have edited is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import block

from scriberrd.library.library import NAME
from scriberrd.protocol import Finished
from scriberrd.queue import jobs, queries

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


async def test_where_files_can_not_be_deleted_it_is_tried_again(server: Server) -> None:
    await server.submit("talk.mp3")
    await server.complete(await server.claim())
    out = server.inbox.output
    out.rename(out.with_name("away"))
    problem = await server.call("DELETE", PURGE, status=503)
    assert (problem["code"], "No such file" in problem["detail"]) == ("purge_failed", True)
    out.with_name("away").rename(out)
    assert (await server.call("DELETE", PURGE))["outputs"] == ["talk.mp3.json"]
    assert list(out.iterdir()) == []


async def test_a_recording_that_could_not_be_read_is_purged_as_well(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim())
    await server.store.run(lambda db: db.execute("UPDATE job SET sha256 = NULL"))
    out = server.inbox.output
    out.rename(out.with_name("away"))
    await server.call("DELETE", PURGE, status=503)
    out.with_name("away").rename(out)
    assert (await server.call("DELETE", PURGE))["id"] == job.id
    assert list(out.iterdir()) == []


async def test_where_the_library_can_not_be_used_job_and_files_stay(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim())
    place = server.inbox.path.parent / NAME
    place.mkdir()
    assert (await server.call("DELETE", PURGE, status=503))["code"] == "purge_failed"
    assert (await server.store.read(queries.get, 1)).outputs == job.outputs
    place.rmdir()
    assert (await server.call("DELETE", PURGE))["outputs"] == ["talk.mp3.json"]


async def test_what_is_not_the_newest_of_its_recording_is_not_purged(server: Server) -> None:
    for _ in range(2):
        await server.submit("talk.mp3")
        await server.complete(await server.claim())
    problem = await server.call("DELETE", PURGE, status=409)
    assert problem["detail"].endswith("job 2 is newer and has its recording")
    assert len(list(server.inbox.output.iterdir())) == 1
    await server.call("DELETE", "/v1/jobs/2?purge=true")
    assert list(server.inbox.output.iterdir()) == []


async def test_finished_work_goes_too_that_of_earlier_versions_as_well(server: Server) -> None:
    kept = []
    for _ in range(2):
        await server.submit("talk.mp3")
        job = await server.claim()
        await server.progress(job, 10.0)
        lease, now = jobs.Lease(job.id, job.lease), server.clock.now
        await server.store.run(jobs.checkpoint, lease, block(0), expires=1e9, now=now)
        finished = Finished(job=job.id, lease=job.lease, duration=10.0, warnings=())
        await server.store.run(jobs.transcribed, lease, finished, now=now)
        await server.rooms.library.keep(server.store, job)
        await server.complete(job)
        kept.append((server.inbox.path / "talk.mp3").read_bytes())
    await server.call("DELETE", "/v1/jobs/2?purge=true")
    for number, content in enumerate(kept):
        (server.inbox.path / f"{number}.mp3").write_bytes(content)
        await server.intake.accept(server.inbox, b"%d.mp3" % number)
        job = await server.claim()
        assert not await server.rooms.library.restore(server.store, job, lambda _: None)
