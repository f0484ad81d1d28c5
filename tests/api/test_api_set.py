"""What is set over a profile, and a redo from a stage on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
from msgspec.structs import replace
from support import block

from scriberrd.queue import jobs, queries
from scriberrd.queue.jobs import Lease
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.model import Job

TALK = {"path": "talk.mp3", "inbox": "default"}


async def look(server: Server, id_: int = 1) -> Job:
    return await server.store.read(queries.get, id_)


async def work(server: Server, settle: str = "completed") -> None:
    """A recording of which a block is done, then completed, failed or left."""
    await server.submit()
    job = await server.claim()
    await server.progress(job, 100.0)
    await server.store.run(
        jobs.checkpoint, Lease(job.id, job.lease), block(0), expires=1e9, now=1.0
    )
    if settle == "failed":
        await server.fail(job, "unsupported_setting")
    elif settle == "completed":
        await server.complete(job)


async def blocks(server: Server) -> int:
    return len(await server.store.read(lambda db: list(queries.Blocks(db, 1))))


async def test_a_path_is_submitted_with_what_is_set(server: Server) -> None:
    (server.inbox.path / "talk.mp3").write_bytes(b"sound")
    over = {"set": ["language=de", "prompt=Ada", "priority=high"]}
    view = await server.post("/v1/jobs", json=TALK | over, status=202)
    assert view["set"] == {"language": "de", "initial_prompt": "Ada"}
    assert view["priority"] == "high"
    job = await look(server)
    assert job.settings == Settings(language="de", initial_prompt="Ada", priority="high")


async def test_an_upload_is_submitted_with_what_is_set(server: Server) -> None:
    upload = "/v1/jobs?name=talk.mp3&set=diarize=auto&set=speakers=2"
    view = await server.post(upload, data=b"sound", status=202)
    assert (view["set"], view["diarize"]) == ({"diarize": "auto", "speakers": "2"}, "auto")


async def test_a_form_is_submitted_with_what_is_set(server: Server) -> None:
    data = aiohttp.FormData([("set", "language=de"), ("set", "speakers=2")])
    data.add_field("file", b"sound", filename="talk.mp3")
    view = await server.post("/v1/jobs", data=data, status=202)
    assert view["set"] == {"language": "de", "speakers": "2"}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"set": ["model=/tmp/evil"]}, "set: model: only a profile sets it: name one"),
        ({"set": ["speakers=many"]}, "speakers: 'many' is not a whole number from 0 to 100"),
        ({"set": "language=de"}, "set: 'language=de' is not a list"),
        ({"set": 3}, "set: 3 is not a list"),
        ({"set": [3]}, "set: 3 is not a string"),
    ],
)
async def test_what_can_not_be_set_is_refused(
    server: Server, body: dict[str, object], complaint: str
) -> None:
    (server.inbox.path / "talk.mp3").write_bytes(b"sound")
    problem = await server.post("/v1/jobs", json=TALK | body, status=422)
    assert problem["detail"].startswith(complaint)
    assert (await server.get("/v1/jobs"))["jobs"] == []


async def test_nothing_of_a_refused_upload_is_stored(server: Server) -> None:
    await server.post("/v1/jobs?name=talk.mp3&set=engine=x", data=b"sound", status=422)
    assert list(server.inbox.path.iterdir()) == []


async def test_what_is_set_outlives_a_retry_with_the_mended_profile(server: Server) -> None:
    (server.inbox.path / "talk.mp3").write_bytes(b"sound")
    await server.post("/v1/jobs", json=TALK | {"set": ["language=de"]}, status=202)
    await server.fail(await server.claim())
    server.config.profiles["default"] = Settings(model="small", language="fr")
    view = await server.post("/v1/jobs/1/retry?set=hotwords=Ada&set=priority=low")
    assert (view["set"], view["priority"]) == ({"language": "de", "hotwords": "Ada"}, "low")
    job = await look(server)
    assert (job.settings.model, job.settings.language, job.settings.hotwords) == (
        *("small", "de"),
        "Ada",
    )
    await server.fail(await server.claim())
    view = await server.post("/v1/jobs/1/retry?set=language=en")
    assert view["set"] == {"language": "en", "hotwords": "Ada"}


async def test_what_is_set_outlives_a_redo_with_another_profile(server: Server) -> None:
    await work(server)
    await server.post("/v1/jobs/1/redo?set=language=de")
    await server.complete(await server.claim())
    view = await server.post("/v1/jobs/1/redo?profile=fast&set=task=translate")
    assert view["set"] == {"language": "de", "task": "translate"}
    job = await look(server)
    assert (job.profile, job.settings.model, job.settings.language) == ("fast", "tiny", "de")


async def test_what_is_set_without_a_value_is_the_profiles_again(server: Server) -> None:
    server.config.profiles["default"] = Settings(language="fr", priority="low")
    (server.inbox.path / "talk.mp3").write_bytes(b"sound")
    over = {"set": ["language=de", "speakers=2", "hotwords=", "priority=high"]}
    view = await server.post("/v1/jobs", json=TALK | over, status=202)
    assert view["set"] == {"language": "de", "speakers": "2"}
    view = await server.post("/v1/jobs", json=TALK | {"set": ["language="]}, status=200)
    assert (view["set"], view["priority"]) == ({"speakers": "2"}, "high")
    assert (await look(server)).settings.language == "fr"
    await server.fail(await server.claim())
    view = await server.post("/v1/jobs/1/retry?set=speakers=&set=priority=")
    assert (view["set"], view["priority"]) == ({}, "low")
    assert (await look(server)).settings == server.config.profiles["default"]


async def test_a_queued_job_takes_what_is_set_and_keeps_what_is_done(server: Server) -> None:
    await work(server, "left")
    job = await server.claim() if (await look(server)).state == "queued" else await look(server)
    await server.store.run(jobs.release, Lease(job.id, job.lease), now=1.0)
    view = await server.post("/v1/jobs", json=TALK | {"set": ["formats=txt"]}, status=200)
    assert (view["set"], await blocks(server)) == ({"formats": "txt"}, 1)
    view = await server.post("/v1/jobs", json=TALK | {"set": ["language=de"]}, status=200)
    assert (view["set"], await blocks(server)) == ({"formats": "txt", "language": "de"}, 0)


async def test_a_running_job_takes_nothing_but_the_priority(server: Server) -> None:
    await work(server, "left")
    over = {"set": ["language=de", "priority=urgent"]}
    view = await server.post("/v1/jobs", json=TALK | over, status=200)
    assert (view["state"], view["set"], view["priority"]) == ("processing", {}, "urgent")
    assert (await look(server)).settings == Settings(priority="urgent")


async def test_other_bytes_under_the_name_know_nothing_of_what_was_set(server: Server) -> None:
    file = server.inbox.path / "talk.mp3"
    file.write_bytes(b"sound")
    await server.post("/v1/jobs", json=TALK | {"set": ["language=de"]}, status=202)
    file.write_bytes(b"other sound")
    view = await server.post("/v1/jobs", json=TALK, status=202)
    assert (view["id"], view["set"]) == (1, {})


async def test_the_speakers_alone_are_done_again(server: Server) -> None:
    await work(server)
    server.config.profiles["default"] = Settings(model="small", diarize="auto", formats=("txt",))
    view = await server.post("/v1/jobs/1/redo?stage=diarize&set=speakers=3")
    assert (view["state"], view["redo"], view["redo_stage"]) == ("queued", True, "diarize")
    assert view["set"] == {"speakers": "3"}
    job = await look(server)
    today = Settings(diarize="auto", speakers=3, formats=("txt",))
    assert job.settings == today  # the words are those of the model that there was
    await server.fail(await server.claim())
    view = await server.post("/v1/jobs/1/retry?set=speakers=2")
    assert view["redo_stage"] == "diarize"
    assert (await look(server)).settings == replace(today, speakers=2)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("stage=diarize", 'diarize: it is "off": nobody would be told apart: --set diarize=auto'),
        (
            "stage=diarize&set=diarize=auto&set=language=de",
            "language changes the words: redo it without --stage",
        ),
        ("stage=merge&set=formats=doc", "formats: 'doc' is not one of \"json\","),
        ("stage=merge&set=speakers=2", "speakers: stage merge only writes the files again"),
        ("stage=merge&profile=fast", "stage: merge takes no profile"),
        ("stage=transcribe", "stage: 'transcribe' is not one of diarize, merge"),
    ],
)
async def test_a_stage_that_would_do_nothing_is_refused(
    server: Server, query: str, complaint: str
) -> None:
    await work(server)
    problem = await server.post(f"/v1/jobs/1/redo?{query}", status=422)
    assert problem["detail"].startswith(complaint)
    assert (await look(server)).state == "completed"


@pytest.mark.parametrize(
    ("before", "today"),
    [
        (Settings(channels="split"), Settings(channels="split")),
        (Settings(channels="split"), Settings(diarize="auto")),
        (Settings(channels="split"), Settings()),
        (Settings(), Settings(channels="split")),
    ],
)
@pytest.mark.parametrize("over", ["", "&set=diarize=auto"])
async def test_a_job_by_channels_is_not_diarized(
    server: Server, before: Settings, today: Settings, over: str
) -> None:
    server.config.profiles["default"] = before
    await work(server)
    server.config.profiles["default"] = today
    problem = await server.post(f"/v1/jobs/1/redo?stage=diarize{over}", status=422)
    assert problem["detail"] == (
        'diarize: channels = "split" takes the speakers from the channels: redo it without --stage'
    )
