"""Pause and resume, over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from test_api_events import told

from scriberrd.model import Scope
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.model import Job

EVERYTHING = {"inbox": None, "worker": None, "reason": "", "since": "2023-11-14T22:13:20.000Z"}
TOO_DEEP = "it is nested too deeply"
NO_UTF8 = "it is not UTF-8"


async def claim(server: Server, pool: str = "cpu") -> Job | None:
    times = {"now": server.clock.now, "expires": 1e9, "longest": 3600.0}
    return await server.store.run(jobs.claim, f"{pool}-1", pool=pool, **times)


@pytest.mark.parametrize("options", [{}, {"json": {}}])
async def test_everything(server: Server, options: dict[str, Any]) -> None:
    assert await server.post("/v1/pause", **options) == {"pauses": [EVERYTHING]}
    assert (await server.get("/v1/status"))["pauses"] == [EVERYTHING]
    await server.submit()  # it still takes recordings
    assert await claim(server) is None
    assert await server.post("/v1/resume", **options) == {"pauses": []}
    assert await claim(server) is not None


async def test_an_inbox_waits_while_others_go_on(server: Server) -> None:
    await server.submit("talk.mp3")
    other = server.config.inboxes[1]
    (other.path / "b.mp3").write_bytes(b"b")
    await server.intake.accept(other, b"b.mp3")
    answer = await server.post("/v1/pause", json={"inbox": "default", "reason": "not yet"})
    assert answer == {"pauses": [EVERYTHING | {"inbox": "default", "reason": "not yet"}]}
    assert [job and job.inbox for job in (await claim(server), await claim(server))] == [
        "other",
        None,
    ]
    await server.post("/v1/resume", json={"inbox": "default"})
    assert await claim(server) is not None


async def test_a_pool_waits_while_others_go_on(server: Server) -> None:
    await server.submit()
    await server.post("/v1/pause", json={"worker": "cpu"})
    assert await claim(server, "cpu") is None
    assert await claim(server, "gpu") is not None


async def test_a_pause_is_from_when_it_began(server: Server) -> None:
    await server.post("/v1/pause")
    server.clock.now += 60
    answer = await server.post("/v1/pause", json={"reason": "still"})
    assert answer == {"pauses": [EVERYTHING | {"reason": "still"}]}


async def test_every_change_of_a_pause_has_its_event(server: Server) -> None:
    reason = {"inbox": "default", "reason": "later"}
    for body in (reason, reason, {"inbox": "default", "reason": "much later"}, {"worker": "cpu"}):
        await server.post("/v1/pause", json=body)
    await server.post("/v1/pause")
    await server.post("/v1/resume", json={"worker": "cpu"})
    await server.post("/v1/resume", json={"worker": "cpu"})
    await server.post("/v1/resume")
    everything: dict[str, Any] = {"inbox": None, "worker": None}
    async with server.http.get("/v1/events?after=0") as response:
        events = [one["data"] for one in await told(response, 7)]
    assert {event["job"] for event in events} == {None}
    assert [(event["type"], event["data"]) for event in events] == [
        ("paused", everything | {"inbox": "default", "reason": "later"}),
        ("paused", everything | {"inbox": "default", "reason": "much later"}),
        ("paused", everything | {"worker": "cpu", "reason": ""}),
        ("paused", everything | {"reason": ""}),
        ("resumed", everything | {"worker": "cpu"}),
        ("resumed", everything),
        ("resumed", everything | {"inbox": "default"}),
    ]


async def test_several_pauses_and_all_lifted_at_once(server: Server) -> None:
    await server.post("/v1/pause", json={"inbox": "default", "worker": "cpu"})
    answer = await server.post("/v1/pause")
    assert [(one["inbox"], one["worker"]) for one in answer["pauses"]] == [
        *((None, None), ("default", None), (None, "cpu")),
    ]
    left = await server.post("/v1/resume", json={"worker": "cpu"})
    assert [(one["inbox"], one["worker"]) for one in left["pauses"]] == [
        *((None, None), ("default", None)),
    ]
    assert await server.post("/v1/resume") == {"pauses": []}


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"json": {"inbox": "nope"}}, "inbox: 'nope' is not one of default, other"),
        ({"json": {"worker": "nope"}}, "worker: 'nope' is not one of cpu"),
        ({"json": {"inbox": 1}}, "inbox: 1 is not a string"),
        ({"data": b'{"a":' * 2000}, f"the body is not a JSON object: {TOO_DEEP}"),
        ({"data": b"[]"}, "the body is not a JSON object, but an array"),
        ({"data": b'"default"'}, "the body is not a JSON object, but a string"),
        ({"data": b"7"}, "the body is not a JSON object, but a number"),
        ({"data": b"null"}, "the body is not a JSON object, but null"),
        ({"data": b"true"}, "the body is not a JSON object, but a boolean"),
        ({"data": b'{"inbox": '}, "the body is not a JSON object: it ends too early"),
        (
            {"data": b'{"inbox": 1e999}'},
            "the body is not a JSON object: it has a number that is too large",
        ),
        ({"data": b'{"inbox" 1}'}, "the body is not a JSON object: expected ':' (byte 9)"),
        ({"data": b'{"inbox": "\xff"}'}, f"the body is not a JSON object: {NO_UTF8}"),
    ],
)
async def test_what_is_refused(
    server: Server, verb: str, options: dict[str, Any], detail: str
) -> None:
    answer = await server.post(f"/v1/{verb}", status=422, **options)
    assert (answer["code"], answer["detail"]) == ("invalid_request", detail)
    assert (await server.get("/v1/status"))["pauses"] == []


@pytest.mark.parametrize(
    ("verb", "allowed"), [("pause", "inbox, worker, reason"), ("resume", "inbox, worker")]
)
async def test_what_is_unknown_is_refused(server: Server, verb: str, allowed: str) -> None:
    answer = await server.post(f"/v1/{verb}", status=422, json={"job": 1})
    assert answer["detail"] == f"job: unknown field; known fields: {allowed}"


async def test_what_has_left_the_configuration_can_be_resumed(server: Server) -> None:
    scopes = [Scope("inbox", "former")]
    await server.store.run(jobs.pause, scopes, reason="", now=server.clock.now)
    assert await server.post("/v1/resume", json={"inbox": "former"}) == {"pauses": []}
