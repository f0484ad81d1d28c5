"""Retry of all that has failed, as people type it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from api_server import NOON
from commands import Ended, ctl

from scriberrd.config import Retry
from scriberrd.model import Identity, Source
from scriberrd.queue import jobs
from scriberrd.queue.jobs import Lease
from scriberrd.settings import Settings

if TYPE_CHECKING:
    import apsw
    from api_server import Server


async def test_retry_all_that_has_failed(server: Server) -> None:
    for number in range(4):
        await server.submit(f"{number}.mp3")
    await server.complete(await server.claim())
    for _ in range(2):
        await server.fail(await server.claim())
    out = "job 2 queued: 1.mp3\njob 3 queued: 2.mp3\n"
    assert await ctl(server, "retry", "--all") == Ended(0, out, "")
    none = "scriberrctl: there is no failed job\n"
    assert await ctl(server, "retry", "--all") == Ended(1, "", none)
    assert await ctl(server, "retry", "--all", "--json") == Ended(1, "", none)


async def test_retry_all_goes_on_after_a_refusal(server: Server) -> None:
    for _ in range(2):  # two versions of one recording
        await server.submit("a.mp3")
        await server.fail(await server.claim())
    retried = await ctl(server, "retry", "--all", "--json")
    assert (retried.status, json.loads(retried.out)["id"]) == (1, 2)
    assert (
        "job 1 is failed: it can't be retried: job 2 is newer and has its recording" in retried.err
    )


async def test_retry_all_of_many_pages(server: Server) -> None:
    def fail_many(db: apsw.Connection) -> None:
        for number in range(1001):
            source = Source("default", b"%d.mp3" % number, Identity(1, 2, 3, 4, number), "0")
            jobs.submit(db, source, profile="default", settings=Settings(), now=NOON)
        while job := jobs.claim(db, "cpu", now=NOON, expires=1e9, longest=3600.0):
            jobs.fail(db, Lease(job.id, job.lease), "empty_file", "", retry=Retry(), now=NOON)

    await server.store.run(fail_many)
    retried = await ctl(server, "retry", "--all")
    assert (retried.status, retried.err) == (0, "")
    assert [line.split()[1] for line in retried.out.splitlines()] == [
        str(number) for number in range(1, 1002)
    ]
    assert (await server.get("/v1/status"))["jobs"]["failed"] == 0


async def test_retry_of_ids_or_of_all(server: Server) -> None:
    for args in ((), ("--all", "1")):
        ended = await ctl(server, "retry", *args)
        assert (ended.status, ended.out) == (2, "")
        assert "Give " in ended.err
