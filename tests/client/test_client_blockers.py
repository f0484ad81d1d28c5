"""What keeps jobs from going on, as people are told."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from api_server import LIVE, NOON
from test_client_cli import Ended, ctl, end, foreign, start

from scriberrctl import __version__ as VERSION  # noqa: N812
from scriberrctl.blockers import Blockers
from scriberrctl.client import Client
from scriberrd.work.breaker import Outage

if TYPE_CHECKING:
    from pathlib import Path

    from api_server import Server

MISSING = Outage(
    part="model",
    name="base on cpu",
    code="model_missing",
    detail="no\x1b such folder",
    since=NOON,
    next_try=NOON + 60,
)
BASE = (
    "model base on cpu: the model is missing: no\\x1b such folder"
    " (next try 2023-11-14 22:14:20);"
    " advice: download it, or change model or auto_download, then retry"
)


SINCE = "since 2023-11-14 22:13:20"
EVERYTHING = f"paused: everything, {SINCE} (to resume: scriberrctl resume)"


def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def broken(server: Server, *outages: Outage) -> None:
    server.rooms.status = lambda: msgspec.structs.replace(LIVE, outages=outages)


async def test_an_outage_has_advice(server: Server) -> None:
    unwritable = Outage(
        part="output", name="default", code="output_unwritable", detail="", since=0, next_try=None
    )
    broken(server, MISSING, unwritable)
    shown = (await ctl(server, "status")).out
    assert shown.partition("\n")[0].startswith(f"scriberrd {VERSION} is running: 2 problems (")
    assert f"\noutage   {BASE.partition(';')[0]}\n" in shown
    assert "\n  fix    scriberrctl models pull base, or change model or auto_download\n" in shown
    assert (
        "\noutage   output of inbox default: the output folder can't be written (trying now)\n"
        "  fix    give the daemon's user permission, or mount it, then scriberrctl reload,"
        " to try it at once\n"
    ) in shown


async def test_a_diarizer_concerns_only_those_who_need_it(server: Server) -> None:
    missing = msgspec.structs.replace(MISSING, part="diarizer", code="diarizer_missing")
    broken(server, missing)
    await server.submit("a.mp3", given={"diarize": "auto"})
    await server.submit("b.mp3", given={"diarize": "required"})
    client = Client(str(server.socket))
    jobs = [await asyncio.to_thread(client.job, id_) for id_ in (1, 2)]
    news = await asyncio.to_thread(lambda: list(Blockers(client, jobs).news()))
    assert len(news) == 1
    assert news[0].startswith("job 2 is waiting: outage: ")


async def shown(process: asyncio.subprocess.Process) -> str:
    """The next line of stderr that is not about progress."""
    assert process.stderr is not None
    while "[--" in (line := (await process.stderr.readline()).decode()):
        pass
    return line


async def test_a_submission_tells_of_an_outage(server: Server, tmp_path: Path) -> None:
    elsewhere = msgspec.structs.replace(MISSING, part="output", name="other")
    broken(server, MISSING, elsewhere)
    files = [foreign(tmp_path, f"{number}.mp3", b"%d" % number) for number in range(2)]
    submitted = await ctl(server, "submit", *files)
    out = "job 1 queued: 0.mp3\njob 2 queued: 1.mp3\n"
    assert submitted == Ended(0, out, f"jobs 1, 2 are waiting: outage: {BASE}\n")


async def test_of_many_jobs_only_the_number_is_told(server: Server, tmp_path: Path) -> None:
    await ctl(server, "pause")
    files = [foreign(tmp_path, f"{number}.mp3", b"%d" % number) for number in range(6)]
    assert (await ctl(server, "submit", *files)).err == f"6 jobs are waiting: {EVERYTHING}\n"


async def test_who_waits_is_told_why_and_what_changes(server: Server) -> None:
    await server.submit()
    await server.submit("other.mp3")
    job = await server.fail(await server.claim(), "worker_crashed", "SIGSEGV")
    again = f"last error: the worker process died: SIGSEGV; next try {moment(job.not_before)}"
    process = await start(server, "wait", "1", "--json")
    assert await shown(process) == f"job 1 is waiting: {again}\n"
    await server.post("/v1/pause")
    assert await shown(process) == f"job 1 is waiting: {again}; {EVERYTHING}\n"
    await server.post("/v1/resume", json={"inbox": "other"})  # which changes nothing
    broken(server, MISSING)
    await server.post("/v1/jobs/2/retry")  # as when another job could not go on
    assert await shown(process) == f"job 1 is waiting: {again}; {EVERYTHING}; outage: {BASE}\n"
    await server.post("/v1/resume")  # what is left was said
    await server.post("/v1/jobs/1/cancel")
    ended = await end(process)
    assert (ended.status, json.loads(ended.out)["state"], ended.err) == (1, "canceled", "")


async def test_what_the_outage_says_is_not_said_of_the_job_too(server: Server) -> None:
    await server.submit()
    broken(server, MISSING)
    await server.fail(await server.claim(), MISSING.code, MISSING.detail)
    process = await start(server, "wait", "1")
    assert await shown(process) == f"job 1 is waiting: outage: {BASE}\n"
    await server.post("/v1/jobs/1/cancel")
    assert (await end(process)).status == 1


async def test_a_pool_holds_up_nobody_while_another_works(server: Server, tmp_path: Path) -> None:
    (cpu,) = LIVE.workers
    pair = [msgspec.structs.replace(cpu, name=f"cpu-{number}") for number in (1, 2)]
    night = msgspec.structs.replace(cpu, name="night")
    live = msgspec.structs.replace(LIVE, workers=(*pair, night))
    server.rooms.status = lambda: live
    await server.post("/v1/pause", json={"worker": "cpu"})
    file = foreign(tmp_path)
    assert (await ctl(server, "submit", file)).err == ""
    outside = msgspec.structs.replace(night, reason="outside its hours (22:00-07:00)")
    live = msgspec.structs.replace(LIVE, workers=(*pair, outside))
    assert (await ctl(server, "submit", file)).err == (
        f"job 1 is waiting: paused: worker cpu, {SINCE}"
        " (to resume: scriberrctl resume --worker cpu);"
        " worker night: outside its hours (22:00-07:00)\n"
    )
