"""What was done, and how fast."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from api_server import ENGINE
from msgspec.structs import replace

from scriberrd.asking import Who, asked_by
from scriberrd.queue import figures, jobs
from scriberrd.queue.jobs import Lease
from scriberrd.transcript import BlockResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_server import Server

DAY = 86_400.0
ANNA = Who(1000, "anna")
BLOCK = BlockResult(
    number=0,
    start=0.0,
    end=50.0,
    speech=1.0,
    language=None,
    language_probability=None,
    segments=(),
    words=(),
)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def done(server: Server, name: str, who: Who | None = None, *, model: str = "base") -> None:
    """A recording of 50 s is transcribed in 5 s, and published."""
    with asked_by(who):
        await server.submit(name)
    job = await server.claim()
    lease, engine = Lease(job.id, job.lease), replace(ENGINE, model=model)
    await server.progress(job, 0.0)
    await server.store.run(jobs.loaded, lease, engine, load=1.5)
    await server.store.run(jobs.checkpoint, lease, BLOCK, expires=1e9, now=0, seconds=5.0)
    await server.complete(job)


async def failed(server: Server, name: str) -> None:
    await server.submit(name)
    await server.fail(await server.claim())


async def test_nothing_is_done_yet(server: Server) -> None:
    found = await server.get("/v1/stats")
    assert (found["since"], found["groups"], found["total"]["completed"]) == (None, [], 0)


async def test_jobs_are_counted_by_day_user_and_inbox(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "WINDOW", 1)  # of several steps
    await done(server, "a.mp3", ANNA)
    await failed(server, "b.mp3")
    server.clock.now += DAY
    await done(server, "c.mp3", ANNA, model="tiny")
    await done(server, "d.mp3")
    await server.post(f"/v1/jobs/{(await server.submit('e.mp3')).id}/cancel")

    found = await server.get("/v1/stats")
    assert found["since"] == "2023-11-14T22:13:20.000Z"
    hours = {"hits": 0, "audio_seconds": 300.0}
    assert found["total"] == {"key": None, "completed": 3, "failed": 1, "canceled": 1} | hours
    keys = ("key", "completed", "failed", "canceled", "audio_seconds")
    assert [[one[key] for key in keys] for one in found["groups"]] == [
        ["2023-11-14", 1, 1, 0, 100.0],
        ["2023-11-15", 2, 0, 1, 200.0],
    ]
    assert [(one["model"], one["device"], one["runs"]) for one in found["speeds"]] == [
        ("base", "cpu", 2),
        ("tiny", "cpu", 1),
    ]
    assert found["speeds"][0]["seconds"] == 10.0
    assert found["speeds"][0]["real_time_factor"] == 0.05  # the words were of 200 s
    assert [(one["code"], one["jobs"]) for one in found["failures"]] == [("no_audio_stream", 1)]

    for by, expected in (
        ("user", [("anna", 2), (None, 1)]),
        ("inbox", [("default", 3)]),
    ):
        groups = (await server.get(f"/v1/stats?by={by}"))["groups"]
        assert [(one["key"], one["completed"]) for one in groups] == expected

    lately = await server.get("/v1/stats?since=2023-11-15T00:00:00Z&by=user")
    assert lately["since"] == "2023-11-15T00:00:00.000Z"
    assert (lately["total"]["completed"], lately["failures"]) == (2, [])


async def test_words_from_the_library_are_hits_and_no_speed(server: Server) -> None:
    await done(server, "a.mp3")
    await server.store.run(lambda db: db.execute("UPDATE job SET cached = 1"))
    await server.store.run(lambda db: db.execute("UPDATE execution SET transcribe_seconds = NULL"))
    found = await server.get("/v1/stats")
    assert (found["total"]["hits"], found["speeds"]) == (1, [])


async def test_what_is_asked_for_wrongly_is_said(server: Server) -> None:
    problem = await server.get("/v1/stats?since=yesterday", status=422)
    assert problem["detail"] == "since: 'yesterday' is not a time such as 2026-11-26T12:00:00Z"
    await done(server, "a.mp3")
    problem = await server.get("/v1/stats?since=9999-12-31T23:59:59-00:01", status=422)
    assert problem["detail"].startswith("since: '9999-12-31 23:59:59-00:01' is not a time")
    problem = await server.get("/v1/stats?by=week", status=422)
    assert problem["detail"] == "by: 'week' is not one of day, user, inbox"
