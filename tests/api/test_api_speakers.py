"""Names of speakers: in every file at once, without a worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from api_server import DIALOGUE, SHOWN
from msgspec.structs import replace

from scriberrd.model import Shown
from scriberrd.queue import jobs, queries
from scriberrd.transcript import PENDING, Speaker, decode, encode

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.model import Job

URL = "/v1/jobs/1/speakers"
FILES = ("json", "txt", "srt", "vtt")


async def dialogue(server: Server) -> Job:
    """A job with two speakers is completed; what is published of it is written once by us."""
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim(), text=DIALOGUE, shown=SHOWN)
    await name(server, "SPEAKER_00", "")
    return job


async def name(server: Server, speaker: str, name: str, status: int = 200) -> Any:
    return await server.post(URL, json={"speaker": speaker, "name": name}, status=status)


def file(server: Server, suffix: str) -> str:
    return (server.inbox.output / f"talk.mp3.{suffix}").read_text()


async def test_a_name_is_in_every_file(server: Server) -> None:
    await dialogue(server)
    before = {suffix: file(server, suffix) for suffix in FILES}
    job = await name(server, "SPEAKER_00", " Ada  Lovelace ")
    assert job["state"] == "completed"
    assert job["speakers"] == [
        {"label": "SPEAKER_00", "name": "Ada Lovelace", "channel": None},
        {"label": "SPEAKER_01", "name": None, "channel": None},
    ]
    assert file(server, "txt") == "Ada Lovelace: Grüß Gott.\n\nSPEAKER_01: Hallo.\n"
    assert "\nAda Lovelace: Grüß Gott.\n" in file(server, "srt")
    assert "\n<v Ada Lovelace>Grüß Gott.\n" in file(server, "vtt")
    text = decode(file(server, "json").encode())
    assert text.speakers == (Speaker(label="SPEAKER_00", name="Ada Lovelace"),)
    assert [one.speaker for one in text.segments] == ["SPEAKER_00", "SPEAKER_01"]
    await name(server, "SPEAKER_00", "")
    assert {suffix: file(server, suffix) for suffix in FILES} == before
    events = [one.type for one in await server.store.read(queries.events, 0, 100, 1)]
    assert events.count("named") == 3


async def test_names_outlive_what_is_merged_again(server: Server) -> None:
    await dialogue(server)
    await name(server, "SPEAKER_01", "Bob")
    default = server.config.profiles["default"]
    brackets = replace(default, speaker_labels="brackets", formats=("txt", "rttm"))
    profiles = {"default": brackets}
    server.rooms.live.config = replace(server.config, profiles=profiles)
    job = await server.rooms.render(1)
    assert job.names == {(SHOWN.turns, "SPEAKER_01"): "Bob"}
    assert file(server, "txt") == "[SPEAKER_00] Grüß Gott.\n\n[Bob] Hallo.\n"
    assert " Bob <NA> <NA>\n" in file(server, "rttm")


async def test_what_is_merged_again_takes_other_formats(server: Server) -> None:
    await dialogue(server)
    default = server.config.profiles["default"]
    other = replace(default, diarize="auto", language="fr")  # which is of no matter here
    server.rooms.live.config = replace(server.config, profiles={"default": other})
    before = server.rooms.live.config.profiles["default"].formats
    job = await server.post("/v1/jobs/1/redo?stage=merge&set=formats=txt,rttm")
    assert (job["state"], job["set"]) == ("completed", {"formats": "txt,rttm"})
    assert " SPEAKER_01 <NA> <NA>\n" in file(server, "rttm")
    job = await server.post("/v1/jobs/1/redo?stage=merge")
    assert job["set"] == {"formats": "txt,rttm"}
    job = await server.post("/v1/jobs/1/redo?stage=merge&set=formats=")
    assert job["set"] == {}
    assert (await server.store.read(queries.get, 1)).settings == replace(default, formats=before)


async def test_an_edited_file_stays_with_the_new_one_beside_it(server: Server) -> None:
    await dialogue(server)
    txt = server.inbox.output / "talk.mp3.txt"
    txt.write_text("corrected by hand")
    job = await name(server, "SPEAKER_00", "Ada")
    assert txt.read_text() == "corrected by hand"
    assert job["edited"] == ["talk.mp3.txt"]
    assert "Ada: Grüß Gott." in (server.inbox.output / "talk.mp3.new.txt").read_text()


async def test_an_edited_transcript_is_not_taken_for_ours(server: Server) -> None:
    await dialogue(server)
    edited = file(server, "json").replace("Hallo", "Servus")
    (server.inbox.output / "talk.mp3.json").write_text(edited)
    problem = await name(server, "SPEAKER_00", "Ada", 409)
    assert problem["code"] == "words_not_kept"
    assert file(server, "json") == edited
    assert "Ada" not in file(server, "txt")
    view = await server.get("/v1/jobs/1")
    assert view["state"] == "completed"
    assert [one["name"] for one in view["speakers"]] == [None, None]
    events = [one.type for one in await server.store.read(queries.events, 0, 100, 1)]
    assert events.count("named") == 1  # the one of `dialogue`


async def test_names_that_come_quickly_wait_for_each_other(server: Server) -> None:
    await dialogue(server)
    both = (name(server, "SPEAKER_00", "Ada"), name(server, "SPEAKER_01", "Bob"))
    await asyncio.gather(*both, *(server.rooms.render(1) for _ in range(3)))
    assert file(server, "txt") == "Ada: Grüß Gott.\n\nBob: Hallo.\n"


async def test_words_without_their_speakers_are_not_published_as_complete(server: Server) -> None:
    await server.submit("talk.mp3")
    early = decode(b"".join(encode(DIALOGUE)))
    early = replace(early, warnings=(PENDING,))
    await server.complete(await server.claim(), text=early, shown=SHOWN)
    assert (await name(server, "SPEAKER_00", "Ada", 409))["code"] == "words_not_kept"


@pytest.mark.parametrize(
    ("speaker", "given", "detail"),
    [
        ("SPEAKER_07", "Ada", "speaker: 'SPEAKER_07' is not one of SPEAKER_00, SPEAKER_01"),
        ("SPEAKER_00", "a" * 101, f"name: '{'a' * 101}' is not a name: one line of at most 100"),
        ("SPEAKER_00", "Ada\nEve", r"name: 'Ada\nEve' is not a name: one line of at most 100"),
    ],
)
async def test_what_is_no_speaker_or_no_name_is_refused(
    server: Server, speaker: str, given: str, detail: str
) -> None:
    await dialogue(server)
    problem = await name(server, speaker, given, 422)
    assert problem["code"] == "invalid_request"
    assert problem["detail"].startswith(detail)


async def test_without_speakers_nobody_is_named(server: Server) -> None:
    await server.submit("talk.mp3")
    assert (await name(server, "SPEAKER_00", "Ada", 409))["code"] == "illegal_move"
    await server.complete(await server.claim())
    problem = await name(server, "SPEAKER_00", "Ada", 422)
    assert problem["detail"] == "speaker: the transcript of job 1 does not tell speakers apart"


async def test_names_go_with_the_turns_that_they_were_given_for(server: Server) -> None:
    await dialogue(server)
    await name(server, "SPEAKER_00", "Ada")
    times = {"now": server.clock.now, "expires": 1e9}
    job = await server.store.run(jobs.take_again, 1, worker="cpu", **times)
    other = Shown("another", SHOWN.labels)
    job = await server.complete(job, text=DIALOGUE, shown=other)
    assert job.names == {}


async def test_two_names_at_once_are_both_kept(server: Server) -> None:
    await dialogue(server)
    given = [("SPEAKER_00", "Ada"), ("SPEAKER_01", "Bob")]

    async def persist(speaker: str, person: str) -> None:
        while True:  # refused while the files are being written
            async with server.http.post(URL, json={"speaker": speaker, "name": person}) as answer:
                if answer.status == 200:
                    return
                assert (await answer.json())["code"] == "illegal_move"
            await asyncio.sleep(0.01)

    await asyncio.gather(*(persist(*one) for one in given))
    assert file(server, "txt") == "Ada: Grüß Gott.\n\nBob: Hallo.\n"


async def test_what_can_t_be_written_now_is_left_to_a_worker(server: Server) -> None:
    await dialogue(server)
    before = file(server, "txt")
    (server.inbox.output / ".scriberrd-1.txt.tmp").mkdir()  # where the file is written first
    job = await name(server, "SPEAKER_00", "Ada")
    assert (job["state"], job["redo_stage"]) == ("queued", "merge")
    assert job["speakers"][0] == {"label": "SPEAKER_00", "name": "Ada", "channel": None}
    assert file(server, "txt") == before
    assert (await server.claim()).id == 1
