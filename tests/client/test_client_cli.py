from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from api_server import DIALOGUE, SHOWN
from commands import COMMAND, Ended, ctl, end, environment, start
from msgspec.structs import replace
from support import eventually

from scriberrd.errors import DatabaseReadOnly
from scriberrd.model import Leaving
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from pathlib import Path

    from api_server import Server


WE = f" by={getpass.getuser()}"  # who asked


def foreign(tmp_path: Path, name: str = "mine.mp3", content: bytes = b"my sound") -> str:
    file = tmp_path / name
    file.write_bytes(content)
    return str(file)


async def test_status_is_the_default(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    await server.progress(job, 50.0)
    server.clock.now += 3723
    out = f"""\
scriberrd 0.1.0 is running: all is well (pid {os.getpid()}, up 1h)
queue    0 queued
jobs     1 processing, 0 completed, 0 failed, 0 canceled
worker   cpu on cpu (2 cores): idle
job 1  [##########----------] 50 %  transcribing  0:50 of 1:40  0.013x  1:02:03 left  talk.mp3
inbox    default: watching
"""
    assert await ctl(server) == Ended(0, out, "")
    assert await ctl(server, "status") == Ended(0, out, "")


async def test_json_on_either_side_of_the_command(server: Server) -> None:
    for args in (["--json"], ["--json", "status"], ["status", "--json"]):
        assert json.loads((await ctl(server, *args)).out)["state"] == "running"


async def test_list(server: Server) -> None:
    for number in range(3):
        await server.submit(f"{number}.mp3")
    await server.submit("\x1b[2J.mp3")
    out = """\
ID  STATE   DONE  SUBMITTED            DURATION  INBOX/PATH
4   queued  -     2023-11-14 22:13:20  -         default/\\x1b[2J.mp3
3   queued  -     2023-11-14 22:13:20  -         default/2.mp3
"""
    more = "there are more jobs: use --limit or --all\n"
    assert await ctl(server, "list", "--limit", "2") == Ended(0, out, more)
    listed = await ctl(server, "list", "--all", "--text", ".MP3", "--state", "queued", "--json")
    assert [json.loads(line)["id"] for line in listed.out.splitlines()] == [4, 3, 2, 1]
    refused = await ctl(server, "list", "--state", "done")
    assert (refused.status, refused.out) == (2, "")
    assert "'queued', 'processing'" in refused.err


async def test_show(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    assert re.search(r"lease until +2055-07-", (await ctl(server, "show", "1")).out)
    await server.fail(job, "no_such_track", "track 3 of 1")
    shown = (await ctl(server, "show", "1")).out
    for part in ("job 1: talk.mp3", "no_such_track", "track 3 of 1", "see audio_track", "OUTCOME"):
        assert part in shown
    assert len(json.loads((await ctl(server, "show", "1", "--json")).out)["executions"]) == 1
    assert await ctl(server, "show", "2") == Ended(4, "", "scriberrctl: there is no job 2\n")


async def test_show_where_words_came_from_and_the_recording_went(server: Server) -> None:
    await server.submit()
    sidecar = '{"profile": "fast", "given": {"language": "de"}}'
    update = "UPDATE job SET cached = 1, disposed = 'archived 2026/talk.mp3', sidecar = ?"
    await server.store.run(lambda db: db.execute(update, (sidecar,)))
    shown = (await ctl(server, "show", "1")).out
    assert "\n  sidecar      profile fast, language=de\n" in shown
    assert "\n  cached       its words were there already\n" in shown
    assert "\n  recording    archived 2026/talk.mp3\n" in shown


async def test_show_what_keeps_a_recording_from_leaving(server: Server) -> None:
    job = await server.submit()
    await server.store.run(jobs.leave, job, Leaving("delete"), 1.0)
    assert "\n  recording    still to leave its inbox\n" in (await ctl(server, "show", "1")).out
    await server.store.run(jobs.put_off, 1, "no space", 2.0, back=True)
    shown = (await ctl(server, "show", "1")).out
    assert "\n  recording    still to leave its inbox: no space\n" in shown


async def test_cancel_and_retry_several(server: Server) -> None:
    await server.submit("1.mp3")
    await server.submit("2.mp3")
    canceled = await ctl(server, "cancel", "1", "9", "2")
    out = "job 1 canceled: 1.mp3\njob 2 canceled: 2.mp3\n"
    assert canceled == Ended(4, out, "scriberrctl: there is no job 9\n")
    again = await ctl(server, "cancel", "1")
    assert again == Ended(1, "", "scriberrctl: job 1 is canceled: it can't be canceled\n")
    retried = await ctl(server, "retry", "1", "--json")
    assert json.loads(retried.out)["state"] == "queued"
    redone = await ctl(server, "redo", "--profile", "fast", "1", "2", "--json")
    assert (redone.status, json.loads(redone.out)["profile"]) == (1, "fast")
    assert redone.err == "scriberrctl: job 1 is queued: it can't be redone\n"
    await server.submit("3.mp3")
    await ctl(server, "cancel", "3")
    removed = await ctl(server, "remove", "1", "3")
    assert removed.out == "job 3 removed: 3.mp3\n"
    assert removed.err == "scriberrctl: job 1 is queued: it can't be removed\n"


async def test_transcript_is_bytes_on_stdout(server: Server) -> None:
    await server.submit()
    assert (await ctl(server, "transcript", "1")).status == 1
    await server.complete(await server.claim())
    assert "Grüß Gott." in (await ctl(server, "transcript", "1")).out
    assert (await ctl(server, "transcript", "1", "--format", "vtt")).out.startswith("WEBVTT")
    assert json.loads((await ctl(server, "--json", "transcript", "1")).out)["schema"] == 1
    assert (await ctl(server, "transcript", "1", "--format", "pdf")).status == 2


async def test_what_a_reader_should_know_is_told_beside_the_transcript(server: Server) -> None:
    await server.submit()
    text = replace(DIALOGUE, warnings=("no speakers: \x1b[2J", "hiss"))
    await server.complete(await server.claim(), text=text)
    told = "job 1: warning: no speakers: \\x1b[2J\njob 1: warning: hiss\n"
    assert await ctl(server, "wait", "1") == Ended(0, "job 1 completed: talk.mp3\n", told)
    assert (await ctl(server, "transcript", "1")).err == told
    assert (await ctl(server, "transcript", "1", "--format", "json")).err == ""
    shown = (await ctl(server, "show", "1")).out
    assert "  warning      no speakers: \\x1b[2J\n  warning      hiss\n" in shown
    for command in ("wait", "show"):
        ended = await ctl(server, command, "1", "--json")
        assert (json.loads(ended.out)["warnings"], ended.err) == (list(text.warnings), "")
    await server.post("/v1/jobs/1/redo")
    await server.fail(await server.claim())
    assert (await ctl(server, "wait", "1")).err == ""  # they are of what there was before


async def test_why_there_are_no_speakers_to_list(server: Server) -> None:
    await server.submit("one.mp3")
    await server.complete(await server.claim())
    note = "note: no speakers were told apart in job 1\n"
    assert await ctl(server, "transcript", "1", "--format", "rttm") == Ended(0, "", note)
    await server.submit("two.mp3")
    await server.complete(await server.claim(), text=DIALOGUE, shown=SHOWN)
    assert (await ctl(server, "transcript", "2", "--format", "rttm")).err == ""


async def test_events_are_followed(server: Server) -> None:
    await server.submit()
    process = await start(server, "events", "--after", "0", "--json")
    assert process.stdout is not None
    assert json.loads(await process.stdout.readline())["type"] == "submitted"
    await server.post("/v1/jobs/1/cancel")
    assert json.loads(await process.stdout.readline())["type"] == "canceled"
    process.send_signal(signal.SIGINT)
    assert await end(process) == Ended(130, "", "")


async def test_events_say_where_some_are_missing(server: Server) -> None:
    await server.submit()
    await server.submit("b.mp3")
    await server.store.run(jobs.prune_events, [1])
    process = await start(server, "events", "--after", "0")
    assert process.stdout is not None
    told = [(await process.stdout.readline()).decode() for _ in range(2)]
    assert told == [
        "2023-11-14 22:13:20  1  events are missing here: they were deleted  gap\n",
        "2023-11-14 22:13:20  2  job 2  submitted\n",
    ]
    process.send_signal(signal.SIGINT)
    assert (await end(process)).status == 130
    process = await start(server, "events", "--after", "00000000-1")
    assert process.stdout is not None
    assert b"the database was replaced" in await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert (await end(process)).status == 130


async def test_events_of_pauses_say_what_is_paused(server: Server) -> None:
    process = await start(server, "events", "--after", "0")
    assert process.stdout is not None
    for body, line in (
        ({"inbox": "default", "reason": "a\x1b"}, "1  inbox default  paused  reason=a\\x1b"),
        ({}, "2  everything  paused "),
    ):
        await server.post("/v1/pause", json=body)
        told = (await process.stdout.readline()).decode()
        assert told == f"2023-11-14 22:13:20  {line}{WE}\n"
    process.send_signal(signal.SIGINT)
    assert (await end(process)).status == 130


async def test_remove_with_purge_deletes_the_transcript_too(server: Server) -> None:
    for name in ("a.mp3", "b.mp3"):
        await server.submit(name)
        await server.complete(await server.claim())
    assert (await ctl(server, "remove", "1")).out == "job 1 removed: a.mp3\n"
    purged = await ctl(server, "remove", "--yes", "--purge", "2")
    assert purged.out == "job 2 and its transcripts removed: b.mp3\n"
    assert [file.name for file in server.inbox.output.iterdir()] == ["a.mp3.json"]
    await server.submit("c.mp3")
    await server.complete(await server.claim())
    (server.inbox.output / "c.mp3.json").write_text("corrected")
    purged = await ctl(server, "remove", "--yes", "--purge", "3")
    assert purged.out.endswith("removed: c.mp3; kept, because edited: c.mp3.json\n")


async def test_events_say_which_job_was_removed(server: Server) -> None:
    await server.submit("a\x1b.mp3")
    await server.post("/v1/jobs/1/cancel")
    process = await start(server, "events", "--after", "2")
    assert process.stdout is not None
    await server.call("DELETE", "/v1/jobs/1")
    line = (await process.stdout.readline()).decode()
    what = f"3  job 1  removed  inbox=default path=a\\x1b.mp3{WE}"
    assert line == f"2023-11-14 22:13:20  {what}\n"
    process.send_signal(signal.SIGINT)
    assert (await end(process)).status == 130


async def test_status_is_watched(server: Server) -> None:
    process = await start(server, "status", "--watch")
    assert process.stdout is not None
    first = b"running; 0 queued, 0 processing, 0 completed, 0 failed, 0 canceled\n"
    assert await process.stdout.readline() == first
    await server.submit()
    assert b"1 queued" in await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert (await end(process)).status == 130


async def test_a_watched_status_outlives_an_answer_that_will_be_another(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await start(server, "status", "--watch")
    assert process.stdout is not None
    await process.stdout.readline()
    asked = 0

    async def broken(*_: Any) -> None:
        nonlocal asked
        asked += 1
        raise DatabaseReadOnly("queue.db: attempt to write a readonly database")

    with monkeypatch.context() as patch:
        patch.setattr(server.store, "read", broken)
        process.send_signal(signal.SIGWINCH)  # it looks again
        await eventually(lambda: asked)
    await server.submit()
    assert b"1 queued" in await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert (await end(process)).status == 130


async def test_a_reader_that_goes_away(server: Server) -> None:
    await server.submit()
    gone, out = os.pipe()
    os.close(gone)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "list", env=environment(server), stdout=out, stderr=subprocess.PIPE
    )
    os.close(out)
    assert await process.communicate() == (None, b"")
    assert process.returncode == 141


def test_nobody_answers(tmp_path: Path) -> None:
    command = [*COMMAND, "--socket", str(tmp_path / "s"), "status"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "Tried:" in ended.stderr


def test_usage() -> None:
    for args in (["--nonsense"], ["nonsense"], ["show"], ["show", "x"], ["wait"]):
        assert subprocess.run([*COMMAND, *args], capture_output=True, check=False).returncode == 2


BY_ID = ("show", "wait", "transcript", "cancel", "retry", "redo", "remove")


@pytest.mark.parametrize("args", [*([name, "--"] for name in BY_ID), ["events", "--job"]])
def test_what_can_be_no_id_is_not_asked_for(args: list[str]) -> None:
    for number in ("0", "-3"):
        ended = subprocess.run([*COMMAND, *args, number], capture_output=True, check=False)
        assert (ended.returncode, ended.stdout) == (2, b"")


def test_it_starts_without_what_is_heavy() -> None:
    program = (
        "import sys; sys.argv = ['scriberrctl', '--socket', '/nowhere', 'status']\n"
        "import scriberrctl.cli\n"
        "try: scriberrctl.cli.main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stdout.split()}
    heavy = {"aiohttp", "msgspec", "apsw", "rich", "asyncio", "scriberrd", "tomlkit", "watchdog"}
    assert loaded & heavy == set()


async def test_speakers_are_named_and_listed(server: Server) -> None:
    await server.submit()
    await server.complete(await server.claim(), text=DIALOGUE, shown=SHOWN)
    said = await ctl(server, "speakers", "name", "1", "SPEAKER_00", "Ada \x1b[2J Lovelace")
    assert said.status == 1
    assert "is not a name: one line of at most 100 characters" in said.err
    said = await ctl(server, "speakers", "name", "1", "SPEAKER_00", "Ada Lovelace")
    line = "job 1 completed: talk.mp3; speakers: SPEAKER_00 (Ada Lovelace), SPEAKER_01\n"
    assert said == (0, line, "")
    shown = await ctl(server, "show", "1")
    assert "  speakers     SPEAKER_00 (Ada Lovelace), SPEAKER_01\n" in shown.out
    text = await ctl(server, "transcript", "1")
    assert text.out == "Ada Lovelace: Grüß Gott.\n\nSPEAKER_01: Hallo.\n"
    said = await ctl(server, "speakers", "name", "1", "SPEAKER_00", "--clear")
    assert said.out == "job 1 completed: talk.mp3; speakers: SPEAKER_00, SPEAKER_01\n"
    said = await ctl(server, "speakers", "name", "1", "SPEAKER_00")
    assert said.status == 2
    assert "Give either a NAME or --clear." in said.err


async def test_what_is_set_over_a_profile(server: Server, tmp_path: Path) -> None:
    file, over = foreign(tmp_path), ("--set", "language=de", "--set", "speakers=2", "--json")
    submitted = json.loads((await ctl(server, "submit", file, *over)).out)
    assert submitted["set"] == {"language": "de", "speakers": "2"}
    await server.fail(await server.claim())
    retried = json.loads((await ctl(server, "retry", "1", "--set", "speakers=3", "--json")).out)
    assert retried["set"] == {"language": "de", "speakers": "3"}
    job = await server.claim()
    await server.progress(job, 100.0)
    await server.complete(job)
    stage = ("redo", "1", "--stage", "diarize", "--json")
    assert (await ctl(server, *stage)).err == (
        'scriberrctl: diarize: it is "off": nobody would be told apart: --set diarize=auto\n'
    )
    redone = json.loads((await ctl(server, *stage, "--set", "diarize=auto")).out)
    assert (redone["redo_stage"], redone["diarize"]) == ("diarize", "auto")
    refused = await ctl(server, "submit", file, "--set", "model=/tmp/evil")
    assert refused.status == 1
    assert "mine.mp3: set: model: only a profile sets it: name one" in refused.err


async def test_logs_tell_the_story_of_a_job_until_it_has_ended(server: Server) -> None:
    await server.submit()
    told = await ctl(server, "logs", "1")
    assert told == Ended(0, "2023-11-14 22:13:20  queued\n", "")
    process = await start(server, "--json", "logs", "1", "--follow")
    assert process.stdout is not None
    first = json.loads(await process.stdout.readline())
    assert first == {"job": 1, "at": "2023-11-14T22:13:20Z", "text": "queued"}
    job = await server.claim()
    second = json.loads(await process.stdout.readline())
    assert second["text"] == "started on worker cpu: run 1"
    await server.fail(job)
    ended = await end(process)
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out)["text"].startswith("failed: no_audio_stream")
    assert (await ctl(server, "logs", "9")).status == 4
