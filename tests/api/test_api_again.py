"""What people order of a known recording is done as its profile is configured now."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace
from support import block

from scriberrd.config import Retention
from scriberrd.inbox.arrivals import Arrivals
from scriberrd.inbox.scan import Found
from scriberrd.model import Identity, JobState, Source
from scriberrd.queue import jobs, queries, retention
from scriberrd.queue.jobs import Lease
from scriberrd.settings import Settings
from scriberrd.units import Seconds

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.model import Job

BLOCK = block(0)
TALK = {"path": "talk.mp3", "inbox": "default"}


async def end(server: Server, state: str) -> None:
    """Let a recording with a checkpoint end, or wait."""
    await server.submit()
    job = await server.claim()
    lease = Lease(job.id, job.lease)
    await server.store.run(jobs.checkpoint, lease, BLOCK, expires=1e9, now=1.0)
    if state == "failed":
        await server.fail(job, "unsupported_setting")
    elif state == "queued":
        await server.fail(job, "model_missing")
    else:
        await server.store.run(jobs.cancel, job.id, 1.0)
        await server.store.run(jobs.release, lease, now=1.0)
    assert (await look(server))[0].state == state


async def look(server: Server) -> tuple[Job, int]:
    blocks = await server.store.read(lambda db: list(queries.Blocks(db, 1)))
    return await server.store.read(queries.get, 1), len(blocks)


def mend(server: Server, **settings: str) -> None:
    server.config.profiles["default"] = replace(Settings(), **settings)


@pytest.mark.parametrize("state", ["failed", "canceled", "queued"])
async def test_retry_takes_the_mended_profile(server: Server, state: str) -> None:
    await end(server, state)
    await server.post("/v1/jobs/1/retry")
    assert (await look(server))[1] == 1  # nothing has changed
    mend(server, model="small")
    await server.post("/v1/jobs/1/retry")
    job, blocks = await look(server)
    assert (job.settings.model, job.progress, blocks) == ("small", 0, 0)


async def test_retry_does_without_a_profile_that_has_gone(server: Server) -> None:
    await end(server, "failed")
    del server.config.profiles["default"]
    await server.post("/v1/jobs/1/retry")
    job, blocks = await look(server)
    assert (job.state, job.settings, blocks) == (JobState.QUEUED, Settings(), 1)


@pytest.mark.parametrize("state", ["failed", "canceled"])
async def test_submit_queues_again_what_has_ended(server: Server, state: str) -> None:
    await end(server, state)
    mend(server, model="small")
    view = await server.post("/v1/jobs", json=TALK | {"priority": "high"}, status=202)
    assert (view["id"], view["state"], view["priority"]) == (1, "queued", "high")
    job, blocks = await look(server)
    assert (job.settings.model, blocks) == ("small", 0)


@pytest.mark.parametrize("verb", ["retry", "redo", "submit"])
async def test_what_could_not_be_read_is_known_by_its_bytes_once_it_can(
    server: Server, verb: str
) -> None:
    file = server.inbox.path / "talk.mp3"
    file.write_bytes(b"recording")
    identity = Identity.of(file.stat())
    source = Source("default", b"talk.mp3", identity, sha256=None)
    when = {"profile": "default", "settings": Settings(), "now": 1.0}
    await server.store.run(jobs.submit, source, **when)
    await server.fail(await server.claim(), "unreadable")
    if verb == "submit":  # the daemon may be in another group now: the file is as it was
        await server.post("/v1/jobs", json=TALK, status=202)
    else:
        file.chmod(0o640)
        await server.post(f"/v1/jobs/1/{verb}")
    job = (await look(server))[0]
    assert (job.id, job.state, job.sha256) == (
        1,
        JobState.QUEUED,
        hashlib.sha256(b"recording").hexdigest(),
    )
    assert job.identity == Identity.of(file.stat())


async def test_retry_of_what_still_can_not_be_read_is_taken(server: Server) -> None:
    source = Source("default", b"talk.mp3", Identity(1, 2, 3, 4, 5), sha256=None)
    when = {"profile": "default", "settings": Settings(), "now": 1.0}
    await server.store.run(jobs.submit, source, **when)
    await server.fail(await server.claim(), "unreadable")
    assert (await server.post("/v1/jobs/1/retry"))["state"] == "queued"


async def test_submit_says_how_a_queued_job_goes_on(server: Server) -> None:
    await end(server, "queued")
    mend(server, model="small")
    view = await server.post("/v1/jobs", json=TALK | {"priority": "urgent"}, status=200)
    assert view["priority"] == "urgent"
    job, blocks = await look(server)
    assert (job.settings.model, blocks) == ("base", 1)  # nobody has named the profile
    view = await server.post("/v1/jobs", json=TALK | {"profile": "fast"}, status=200)
    assert (view["profile"], view["priority"]) == ("fast", "low")
    job, blocks = await look(server)
    assert (job.settings.model, blocks) == ("tiny", 0)


async def test_submit_changes_only_the_priority_of_what_is_being_done(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    mend(server, model="small")
    for options, priority in (
        ({"profile": "fast"}, "normal"),
        ({"profile": "fast", "priority": "urgent"}, "urgent"),
        ({}, "urgent"),
    ):
        view = await server.post("/v1/jobs", json=TALK | options, status=200)
        assert (view["state"], view["profile"]) == ("processing", "default")
        assert view["priority"] == priority
    assert (await look(server))[0].settings == replace(Settings(), priority="urgent")
    await server.complete(job)
    view = await server.post("/v1/jobs", json=TALK | {"priority": "low"}, status=200)
    assert (view["state"], view["priority"]) == ("completed", "urgent")


async def test_an_upload_of_a_live_jobs_bytes_gives_it_the_priority(server: Server) -> None:
    await end(server, "queued")
    upload, same = "/v1/jobs?name=other.mp3", b"recording 1"
    assert (await server.post(upload, data=same))["priority"] == "normal"
    view = await server.post(f"{upload}&priority=high", data=same)
    assert (view["id"], view["state"], view["priority"]) == (1, "queued", "high")
    assert (await look(server))[1] == 1  # what is done stays done
    await server.claim()
    view = await server.post(f"{upload}&priority=urgent", data=same)
    assert (view["state"], view["priority"]) == ("processing", "urgent")


async def test_a_scan_leaves_canceled_what_is_canceled(server: Server) -> None:
    await end(server, "canceled")
    rooms = server.rooms
    arrivals = Arrivals(rooms.live, rooms.store, server.clock, rooms.folders, server.intake)
    found = Found(b"talk.mp3", (await look(server))[0].identity)
    assert await arrivals.take(server.inbox, [found]) == [None]
    assert (await look(server))[0].state is JobState.CANCELED


@pytest.mark.parametrize("state", ["failed", "canceled"])
async def test_an_upload_like_one_that_has_ended_is_queued(server: Server, state: str) -> None:
    await end(server, state)
    view = await server.post("/v1/jobs?name=talk.mp3", data=b"recording 1", status=202)
    assert (view["id"], view["state"]) == (2, "queued")


async def test_a_removed_job_is_forgotten_and_its_recording_is_no_news(server: Server) -> None:
    await end(server, "failed")
    removed = await server.call("DELETE", "/v1/jobs/1")
    assert (removed["id"], removed["error"]["code"]) == (1, "unsupported_setting")
    assert (await server.get("/v1/jobs"))["jobs"] == []
    assert (await server.call("DELETE", "/v1/jobs/1", status=404))["code"] == "job_not_found"
    again = await server.post("/v1/jobs", json=TALK, status=202)
    assert (again["id"], again["state"]) == (1, "queued")


@pytest.mark.parametrize("state", ["queued", "processing"])
async def test_a_live_job_is_not_removed(server: Server, state: str) -> None:
    await server.submit()
    if state == "processing":
        await server.claim()
    refused = await server.call("DELETE", "/v1/jobs/1", status=409)
    assert refused["detail"] == f"job 1 is {state}: it can't be removed"
    assert (await server.get("/v1/jobs/1"))["state"] == state


@pytest.mark.parametrize("change", ["gone", "replaced"])
async def test_an_upload_is_kept_when_the_recording_like_it_is_not(
    server: Server, change: str
) -> None:
    await server.submit()
    file = server.inbox.path / "talk.mp3"
    file.unlink()
    if change == "replaced":
        file.write_bytes(b"not settled yet")
    view = await server.post("/v1/jobs?name=other.mp3", data=b"recording 1", status=202)
    assert (view["id"], view["path"]) == (2, "other.mp3")
    assert (server.inbox.path / "other.mp3").read_bytes() == b"recording 1"


async def test_an_upload_like_a_completed_one_is_known_while_there_is_a_transcript(
    server: Server,
) -> None:
    await server.submit()
    await server.complete(await server.claim())
    file, upload = server.inbox.path / "talk.mp3", "/v1/jobs?name=other.mp3"
    file.unlink()
    view = await server.post(upload, data=b"recording 1", status=200)
    assert (view["id"], os.listdir(server.inbox.path)) == (1, [])
    file.write_bytes(b"recording 1")
    kept = msgspec.structs.replace(server.config, retention=Retention(transcripts=Seconds(1)))
    await retention.prune(server.store, server.rooms.publisher.delete, kept, server.clock.now + 2)
    view = await server.post(upload, data=b"recording 1", status=202)
    assert (view["id"], view["path"]) == (2, "other.mp3")


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize("left", ["talk.mp3", None])
async def test_an_upload_is_done_when_the_transcript_of_the_one_like_it_was_taken_away(
    server: Server, left: str | None, forgotten: bool
) -> None:
    await server.submit()
    await server.complete(await server.claim())
    upload = "/v1/jobs?name=talk.mp3&priority=high"
    if forgotten:
        await server.call("DELETE", "/v1/jobs/1")
    elif left:  # the transcript is still there
        assert (await server.post(upload, data=b"recording 1"))["id"] == 1
    (server.inbox.output / "talk.mp3.json").unlink()
    if left is None:
        (server.inbox.path / "talk.mp3").unlink()
    view = await server.post(upload, data=b"recording 1", status=202)
    assert (view["state"], view["priority"]) == ("queued", "high")
    assert view["path"] == ("talk-2.mp3" if left else "talk.mp3")
    assert (server.inbox.path / view["path"]).read_bytes() == b"recording 1"


async def test_an_upload_with_another_profile_is_a_job_of_its_own(server: Server) -> None:
    await server.submit()
    upload = "/v1/jobs?name=talk.mp3&profile=fast"
    view = await server.post(upload, data=b"recording 1", status=202)
    assert (view["id"], view["path"], view["profile"]) == (2, "talk-2.mp3", "fast")
