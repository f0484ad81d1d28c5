from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from scriberrd import __version__
from scriberrd.api.endpoints import ENDPOINTS
from scriberrd.errors import DatabaseReadOnly

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.api.endpoint import Endpoint


async def test_health(server: Server) -> None:
    assert await server.get("/v1/health") == {"status": "ok"}


async def test_health_without_a_database(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise DatabaseReadOnly("queue.db: attempt to write a readonly database")

    monkeypatch.setattr(server.store, "read", broken)
    problem = await server.get("/v1/health", status=503)
    assert problem["code"] == "read_only"


async def test_status(server: Server) -> None:
    await server.submit()
    await server.submit("b.mp3")
    await server.claim()
    server.clock.now += 60
    status = await server.get("/v1/status")
    assert [job["id"] for job in status.pop("processing")] == [1]
    assert status == {
        "version": __version__,
        "pid": os.getpid(),
        "uptime_seconds": 60.0,
        "state": "running",
        "stop_timeout": 30.0,
        "jobs": {"queued": 1, "processing": 1, "completed": 0, "failed": 0, "canceled": 0},
        "waiting": {"paused": 0, "retry": 0, "machine": 0, "next_try": None},
        "workers": [
            {
                "name": "cpu",
                "device": "cpu",
                "model": None,
                "state": "idle",
                "job": None,
                "pid": 42,
                "threads": 2,
                "share": None,
                "step": None,
                "reason": None,
            }
        ],
        "inboxes": [
            {
                "name": "default",
                "state": "watching",
                "reason": None,
                "settling": 0,
                "mounts": [],
            }
        ],
        "diarizers": [],
        "outages": [],
        "pauses": [],
        "library": {"results": 0, "bytes": 0, "hits": 0},
        "leaving": 0,
    }
    server.stopping = True
    assert (await server.get("/v1/status"))["state"] == "stopping"


async def test_every_answer_has_the_version(server: Server) -> None:
    for path in ("/v1/health", "/v1/jobs/9", "/nowhere"):
        async with server.http.get(path) as response:
            assert response.headers["Scriberrd-Version"] == __version__


async def test_no_such_route_or_method(server: Server) -> None:
    problem = await server.get("/v2/jobs", status=404)
    assert (problem["code"], problem["title"]) == ("not_found", "Not Found")
    assert problem["detail"] == "there is no such route"
    async with server.http.delete("/v1/jobs") as response:
        assert response.headers["Allow"] == "GET,HEAD,POST"
        problem = await response.json(content_type=None)
    assert problem["code"] == "method_not_allowed"
    assert problem["detail"] == "this route has no such method"


async def test_a_defect_stays_in_the_log(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise KeyError("/home/somebody/secret")

    monkeypatch.setattr(server.store, "read", broken)
    problem = await server.get("/v1/jobs/1", status=500)
    assert problem == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal_error",
        "detail": "an error inside scriberrd: see the journal",
    }
    assert "KeyError: '/home/somebody/secret'" in caplog.text


@pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if one.method == "GET"], ids=lambda one: one.path
)
async def test_head_is_served_where_the_answer_has_an_end(
    server: Server, endpoint: Endpoint
) -> None:
    await server.submit()
    await server.complete(await server.claim())
    needed = {"path": "/x"} if endpoint.path == "/v1/explain" else {}
    async with server.http.head(endpoint.path.format(id=1), params=needed) as response:
        ends = endpoint.path != "/v1/events"
        assert (response.status, response.headers.get("Allow")) == (
            (200, None) if ends else (405, "GET")
        )
        assert await response.read() == b""


@pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if not one.streams], ids=lambda one: one.summary
)
def test_the_table_says_what_the_handlers_say(endpoint: Endpoint) -> None:
    kinds = filter(None, (endpoint.parameters, endpoint.body, endpoint.result or web.Response))
    told = ["Rooms", *["int"] * ("{id}" in endpoint.path), *(kind.__name__ for kind in kinds)]
    annotations = endpoint.handler.__annotations__.values()
    assert told == [text.rpartition(".")[2] for text in annotations]
