"""A job is read when it is another than before: nobody polls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from api_server import serve
from support import eventually

from scriberrd.api import reading, staying
from scriberrd.api.connections import room

if TYPE_CHECKING:
    from api_server import Server

URL = "/v1/jobs/1"


async def tag(server: Server) -> str:
    async with server.http.get(URL) as response:
        return response.headers["ETag"]


async def read(server: Server, url: str, known: str | None = None) -> tuple[int, Any]:
    headers = {} if known is None else {"If-None-Match": known}
    async with server.http.get(url, headers=headers) as response:
        assert "Scriberrd-Version" in response.headers
        assert "ETag" in response.headers or response.status >= 400
        return response.status, await response.json(content_type=None)


async def test_the_same_state_is_not_sent_twice(server: Server) -> None:
    await server.submit()
    known = await tag(server)
    assert await read(server, URL, known) == (304, None)
    assert await read(server, URL, f'"another", {known}') == (304, None)
    assert await read(server, URL, "*") == (304, None)
    assert (await read(server, URL, '"another"'))[0] == 200
    await server.claim()
    assert (await read(server, URL, known))[1]["state"] == "processing"


async def test_the_clock_alone_changes_nothing(server: Server) -> None:
    await server.submit()
    await server.progress(await server.claim(), 40.0)
    known = await tag(server)
    server.clock.now += 10
    assert await read(server, URL, known) == (304, None)


@pytest.fixture(autouse=True)
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is seen whether somebody has it."""
    monkeypatch.setattr(staying, "PARTS", room())


async def waiting(server: Server) -> None:
    await eventually(server.app[staying.PLACES].locked)


@pytest.mark.parametrize("knows", [True, False])
async def test_a_change_is_waited_for(server: Server, knows: bool) -> None:
    await server.submit()
    known = await tag(server) if knows else None
    asked = asyncio.create_task(read(server, f"{URL}?wait=60", known))
    await waiting(server)
    await server.submit("other.mp3")  # the bell rings for others, too
    assert not asked.done()
    await server.claim()
    status, job = await asked
    assert (status, job["state"]) == (200, "processing")


async def test_what_has_changed_already_is_not_waited_for(server: Server) -> None:
    await server.submit()
    known = await tag(server)
    await server.claim()
    assert (await read(server, f"{URL}?wait=60", known))[1]["state"] == "processing"


async def test_nothing_has_changed_in_time(server: Server) -> None:
    await server.submit()
    known = await tag(server)
    assert await read(server, f"{URL}?wait=1", known) == (304, None)
    assert (await read(server, f"{URL}?wait=1"))[1]["state"] == "queued"


@pytest.mark.parametrize("wait", ["61", "-1", "long", "1.5"])
async def test_how_long_may_be_waited(server: Server, wait: str) -> None:
    await server.submit()
    problem = await server.get(f"{URL}?wait={wait}", status=422)
    assert problem["detail"] == f"wait: {wait!r} is not a whole number from 0 to 60"


async def test_a_job_that_is_forgotten_meanwhile(server: Server) -> None:
    await server.submit()
    await server.post(f"{URL}/cancel")
    asked = asyncio.create_task(read(server, f"{URL}?wait=60"))
    await waiting(server)
    await server.call("DELETE", URL)
    status, problem = await asked
    assert (status, problem["code"]) == (404, "job_not_found")


async def test_who_waits_has_one_of_the_places_of_those_who_stay(server: Server) -> None:
    await server.submit()
    asked = asyncio.create_task(read(server, f"{URL}?wait=60"))
    await waiting(server)
    assert (await server.get(f"{URL}?wait=60", status=503))["code"] == "too_many_connections"
    assert (await server.get("/v1/events", status=503))["code"] == "too_many_connections"
    await server.get(URL)  # needs no place
    await server.claim()
    await asked


async def test_who_has_gone_gives_the_place_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOOK", 0.05)
    await server.submit()
    asked = asyncio.create_task(read(server, f"{URL}?wait=60"))
    await waiting(server)
    asked.cancel()
    await eventually(lambda: not server.app[staying.PLACES].locked())


async def test_the_end_of_the_daemon_is_not_delayed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with serve(tmp_path_factory.mktemp("s")) as running:
        await running.submit()
        known = await tag(running)
        asked = asyncio.create_task(read(running, f"{URL}?wait=60", known))
        await waiting(running)
    assert await asked == (304, None)
