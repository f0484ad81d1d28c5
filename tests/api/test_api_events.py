from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from api_server import serve
from support import eventually

from scriberrd.api import connections, events
from scriberrd.asking import Who, asked_by
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    import aiohttp
    from api_server import Server

URL = "/v1/events"


async def told(response: aiohttp.ClientResponse, number: int) -> list[dict[str, Any]]:
    """The next events, each as its fields."""
    found: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while len(found) < number:
            line = (await response.content.readline()).decode().rstrip("\n")
            if line.startswith(":"):
                continue
            if line:
                key, _, value = line.partition(": ")
                fields[key] = json.loads(value) if key == "data" else value
            elif fields:
                found += [fields] if "event" in fields else []  # a heartbeat has an id only
                fields = {}
    return found


async def numbers(response: aiohttp.ClientResponse, number: int) -> list[str]:
    """The ids of the next events, without the generation."""
    return [event["id"].rpartition("-")[2] for event in await told(response, number)]


async def generation(server: Server) -> str:
    return (await server.store.read(queries.stream)).generation


async def test_events_from_now_on(server: Server) -> None:
    await server.submit("before.mp3")
    begun = await generation(server)
    async with server.http.get(URL) as response:
        assert response.content_type == "text/event-stream"
        assert "Scriberrd-Version" in response.headers
        await server.submit("after.mp3")
        await server.claim()
        assert await told(response, 2) == [
            {
                "id": f"{begun}-2",
                "event": "submitted",
                "data": {
                    "id": 2,
                    "cursor": f"{begun}-2",
                    "at": "2023-11-14T22:13:20.000Z",
                    "job": 2,
                    "type": "submitted",
                    "data": {},
                },
            },
            {
                "id": f"{begun}-3",
                "event": "claimed",
                "data": {
                    "id": 3,
                    "cursor": f"{begun}-3",
                    "at": "2023-11-14T22:13:20.000Z",
                    "job": 1,
                    "type": "claimed",
                    "data": {"worker": "cpu", "lease": 1},
                },
            },
        ]


@pytest.mark.parametrize(
    ("query", "headers", "ids"),
    [
        ("?after=0", {}, ["1", "2", "3"]),
        ("?after=1", {}, ["2", "3"]),
        ("?after={}-1", {}, ["2", "3"]),
        ("", {"Last-Event-ID": "{}-2"}, ["3"]),
        ("", {"Last-Event-ID": "2"}, ["3"]),
        ("?after=0", {"Last-Event-ID": "2"}, ["1", "2", "3"]),
        ("?after=0&job=2", {}, ["2"]),
    ],
)
async def test_a_client_resumes(
    server: Server, query: str, headers: dict[str, str], ids: list[str]
) -> None:
    for number in range(3):
        await server.submit(f"{number}.mp3")
    begun = await generation(server)
    headers = {name: value.format(begun) for name, value in headers.items()}
    async with server.http.get(URL + query.format(begun), headers=headers) as response:
        assert await numbers(response, len(ids)) == ids


@pytest.mark.parametrize("place", ["900", "00000000-1"])
async def test_a_client_of_another_database_is_told_and_starts_from_now(
    server: Server, place: str
) -> None:
    await server.submit("a.mp3")
    async with server.http.get(URL, headers={"Last-Event-ID": place}) as response:
        (gap,) = await told(response, 1)
        assert (gap["event"], gap["data"]["data"]) == ("gap", {"why": "other_database"})
        assert gap["id"] == f"{await generation(server)}-1"  # where it resumes after this
        await server.submit("b.mp3")
        assert await numbers(response, 1) == ["2"]


async def test_a_client_that_missed_events_is_told_once(server: Server) -> None:
    for number in range(4):
        await server.submit(f"{number}.mp3")
    await server.store.run(jobs.prune_events, [1, 2])
    async with server.http.get(f"{URL}?after=1") as response:
        gap, *events = await told(response, 3)
        assert (gap["event"], gap["data"]["data"]) == ("gap", {"why": "pruned"})
        assert gap["data"]["at"] == "2023-11-14T22:13:20.000Z"
        assert [event["data"]["id"] for event in (gap, *events)] == [2, 3, 4]
    for place in (gap["id"], "2", "3"):  # it knows of all that is forgotten
        async with server.http.get(f"{URL}?after={place}") as response:
            assert (await told(response, 1))[0]["event"] == "submitted"


async def test_events_of_a_job_are_told_after_it_is_removed(server: Server) -> None:
    with asked_by(Who(1000, "anna")):
        await server.submit("a.mp3")
    await server.complete(await server.claim())
    async with server.http.delete("/v1/jobs/1") as response:
        assert response.status == 200
    async with server.http.get(f"{URL}?after=0") as response:
        found = [event["data"] for event in await told(response, 4)]
    assert [(event["id"], event["job"], event["type"]) for event in found] == [
        (1, 1, "submitted"),
        (2, 1, "claimed"),
        (3, 1, "finished"),
        (4, None, "removed"),
    ]
    assert found[0]["data"]["by"]["name"] == "anna"


async def test_who_follows_a_job_has_missed_nothing_when_events_of_others_go(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    await server.submit("a.mp3")
    await server.submit("b.mp3")
    looked = places(server)
    async with server.http.get(f"{URL}?after=0&job=1") as response:
        assert await numbers(response, 1) == ["1"]
        await eventually(lambda: looked[-1] == 2)
        await server.store.run(jobs.prune_events, [1, 2])
        await server.post("/v1/jobs/1/cancel")
        assert [event["event"] for event in await told(response, 1)] == ["canceled"]


def places(server: Server) -> list[int]:
    """After which event each look of a stream is, from now on."""
    looked: list[int] = []
    real = server.store.read

    async def noted(function: Any, *args: Any, **kwargs: Any) -> Any:
        if function is events._look:  # noqa: SLF001
            looked.append(args[0])
        return await real(function, *args, **kwargs)

    server.store.read = noted
    return looked


NO_PLACE = "is not the cursor or the id of an event"


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("after=x", f"after: 'x' {NO_PLACE}"),
        ("after=-1", f"after: '-1' {NO_PLACE}"),
        ("after=1-1", f"after: '1-1' {NO_PLACE}"),
        ("job=x", f"job: 'x' is not a whole number from 0 to {queries.LARGEST}"),
        ("since=1", "since: unknown field; known fields: after, job"),
    ],
)
async def test_a_wrong_place_is_refused(server: Server, query: str, complaint: str) -> None:
    problem = await server.get(f"/v1/events?{query}", status=422)
    assert (problem["code"], problem["detail"]) == ("invalid_request", complaint)


async def test_a_wrong_place_in_the_header_is_refused(server: Server) -> None:
    problem = await server.get("/v1/events", headers={"Last-Event-ID": "x"}, status=422)
    assert (problem["code"], problem["detail"]) == ("invalid_request", f"after: 'x' {NO_PLACE}")


async def test_more_events_than_a_batch(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BATCH", 2)
    for number in range(5):
        await server.submit(f"{number}.mp3")
    async with server.http.get(f"{URL}?after=0") as response:
        assert await numbers(response, 5) == list("12345")


async def test_silence_has_a_heartbeat(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    async with server.http.get(URL) as response, asyncio.timeout(60):
        beat = [f"id: {await generation(server)}-0\n".encode(), b":\n", b"\n"]
        assert [await response.content.readline() for _ in range(9)] == beat * 3


async def test_a_slow_client_is_waited_for(on_socket: Server) -> None:
    """Nothing piles up for a client that does not read: the loop stands still in its write."""
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
    await on_socket.submit()
    await on_socket.store.run(
        lambda db: db.execute(
            f"{many} INSERT INTO event (at, job, type, data) SELECT 1, 1, 'x', '{{}}' FROM n"
        ).fetchall()
    )
    read = places(on_socket)
    _, writer = await asyncio.open_unix_connection(on_socket.socket)
    writer.write(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    before = -1
    async with asyncio.timeout(60):
        while len(read) != before or not read:  # until it reads no more, though it had its turns
            before = len(read)
            for _ in range(20):
                await on_socket.store.read(events.queries.believed)
    assert read[-1] < 40_000
    await on_socket.submit("another.mp3")  # nobody else is held up
    writer.transport.abort()


async def test_streams_end_with_the_daemon(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FAREWELL", 3600.0)  # for who does not end by itself
    async with asyncio.timeout(60), serve(tmp_path_factory.mktemp("s")) as server:
        reader, writer = await asyncio.open_unix_connection(server.socket)
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\n\n")).endswith(b":\n\n")
    assert await reader.read() == b"\r\n0\r\n\r\n"
    writer.close()


async def test_a_slow_reader_is_told_to_resume(
    on_socket: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(events, "PATIENCE", 0.2)
    for number in range(20):  # more than the buffers of the connection hold
        reason = f"{number}" * 30_000
        await on_socket.post("/v1/pause", json={"inbox": "default", "reason": reason[:60_000]})
    async with on_socket.http.get(f"{URL}?after=0") as response:
        await eventually(lambda: "too slowly" in caplog.text)
        text = (await response.read()).decode()  # the stream ends as it should
    last = text.rstrip().split("\n\n")[-1].splitlines()
    assert last[1] == "event: cut"
    after = last[0].removeprefix("id: ")
    told_so_far = text.count("event: paused")
    async with on_socket.http.get(f"{URL}?after={after}") as response:
        rest = 0 if told_so_far == 20 else len(await told(response, 20 - told_so_far))
    assert told_so_far + rest == 20  # nothing is missing
