from __future__ import annotations

import asyncio
import io
import os
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from support import eventually
from test_api_forms import BOUNDARY, FILE, FORM

from scriberrd.api.submission import locate
from scriberrd.errors import SourceChanged
from scriberrd.inbox.arrivals import Arrivals
from scriberrd.inbox.scan import Found
from scriberrd.model import Identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api_server import Server


async def test_by_path_in_an_inbox(server: Server) -> None:
    file = server.inbox.path / "sub" / "talk.mp3"
    file.parent.mkdir()
    file.write_bytes(b"sound")
    body = {"path": str(file), "profile": "fast"}
    async with server.http.post("/v1/jobs", json=body) as response:
        view = await response.json()
        assert (response.status, response.headers["Location"]) == (202, "/v1/jobs/1")
    assert (view["inbox"], view["path"], view["profile"]) == ("default", "sub/talk.mp3", "fast")
    assert view["priority"] == "low"
    again = {"path": "sub/talk.mp3", "inbox": "default"}
    assert (await server.post("/v1/jobs", json=again, status=200))["id"] == 1


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/etc/nothing", "{in}/../x.mp3", "{in}", "{in}fix/a.mp3", "/{in}/a.mp3"],
)
async def test_a_path_outside_says_nothing_about_it(server: Server, path: str) -> None:
    path = path.replace("{in}", str(server.inbox.path))
    problem = await server.post("/v1/jobs", json={"path": path}, status=422)
    assert (problem["code"], problem["detail"]) == (
        "path_outside_inbox",
        "the path is not in an inbox",
    )


async def test_a_named_inbox_is_meant(server: Server) -> None:
    (server.inbox.path / "a.mp3").write_bytes(b"sound")
    body = {"path": str(server.inbox.path / "a.mp3"), "inbox": "other"}
    problem = await server.post("/v1/jobs", json=body, status=422)
    assert problem["code"] == "path_outside_inbox"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "path: missing"),
        ('{"path": 7}', "path: 7 is not a string"),
        ('{"path": null}', "path: null is not a string"),
        ('{"path": "a.mp3"}', "path: a relative path needs an inbox"),
        ('{"path": "../a.mp3", "inbox": "default"}', "the path is not in an inbox"),
        ('{"path": ".", "inbox": "default"}', "the path is not in an inbox"),
        ('{"path": "gone.mp3", "inbox": "default"}', "gone.mp3"),
        ('{"path": "a\\u0000.mp3", "inbox": "default"}', "the path is not in an inbox"),
        ('{"path": "a\\udce9.mp3", "inbox": "default"}', "not a JSON object"),
        ('{"path": "a.mp3", "inbox": "x"}', "inbox: 'x' is not one of default, other"),
        ('{"path": "a.mp3", "inbox": "default", "profile": "x"}', "default, fast"),
        ('{"path": "a.mp3", "inbox": "default", "priority": "x"}', "urgent, high, normal, low"),
        (
            '{"path": "a.mp3", "nice": 1}',
            "nice: unknown field; known fields: inbox, profile, priority, set, path",
        ),
        (b'{"path": "\xed\xb3\xbf"}', "not a JSON object"),
        (b'{"\xff": "a.mp3"}', "not a JSON object"),
    ],
)
async def test_a_wrong_field_is_named(server: Server, body: str | bytes, complaint: str) -> None:
    headers = {"Content-Type": "application/json"}
    problem = await server.post("/v1/jobs", data=body, headers=headers, status=422)
    assert complaint in problem["detail"]


async def test_an_upload_without_any_inbox(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    none = replace(server.config, inboxes=())
    monkeypatch.setattr(server.rooms.live, "config", none)
    problem = await server.post("/v1/jobs?name=a.mp3", data=b"sound", status=422)
    assert problem["detail"].startswith("inbox: no inbox is configured")


async def test_a_broken_compressed_upload(
    on_socket: Server, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /v1/jobs?name=a.mp3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"
    reader, writer = await asyncio.open_unix_connection(on_socket.socket)
    writer.write(head + b"no gzip!!")
    answer = (
        await reader.read()
    )  # to the end: the server has nothing more to say, to the log either
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"invalid_request"' in answer
    assert "Unhandled" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_bare_bytes(server: Server) -> None:
    target = "/v1/jobs?name=Gr%C3%BC%C3%9Fe.mp3&profile=fast"
    view = await server.post(target, data=b"some sound", status=202)
    assert (view["path"], view["profile"]) == ("Grüße.mp3", "fast")
    assert (await server.post(target, data=b"some sound", status=200))["id"] == view["id"]


async def test_bare_bytes_need_a_name(server: Server) -> None:
    for query in ("", "?name=", "?name=notes.pdf"):
        problem = await server.post(f"/v1/jobs{query}", data=b"some sound", status=422)
        assert "name" in problem["detail"]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("notes.pdf", "has no extension of a recording: wav, "),
        (".hid.mp3", "is hidden: it begins with a dot"),
        (f"{'ü' * 128}.mp3", "is too long: 260 bytes, of at most 255"),
        ("bl.mp3 ", "ends in a blank or a dot"),
        ("bl.mp3.", "ends in a blank or a dot"),
    ],
)
async def test_what_is_wrong_with_a_name_is_told(server: Server, name: str, wrong: str) -> None:
    problem = await server.post(f"/v1/jobs?name={name}", data=b"some sound", status=422)
    assert problem["detail"].startswith(f"name: '{name}' {wrong}")


async def test_no_bytes_are_no_recording(server: Server) -> None:
    problem = await server.post("/v1/jobs?name=talk.mp3", data=b"", status=422)
    assert problem["code"] == "invalid_request"
    assert problem["detail"] == "'talk.mp3': nothing has come, the recording would be empty"
    body = BOUNDARY + FILE + b"\r\n--cut--\r\n"
    await server.post("/v1/jobs", data=body, headers=FORM, status=422)
    assert os.listdir(server.inbox.path) == []
    assert (await server.get("/v1/jobs"))["jobs"] == []


async def test_too_large_whether_announced_or_not(server: Server) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    for data in (io.BytesIO(b"x" * 1_000_001), unannounced()):
        problem = await server.post("/v1/jobs?name=a.mp3", data=data, status=413)
        assert problem["code"] == "upload_too_large"
    body = io.BytesIO(BOUNDARY + FILE + b"x" * 1_000_001 + b"\r\n--cut--\r\n")
    problem = await server.post("/v1/jobs", data=body, headers=FORM, status=413)
    assert problem["code"] == "upload_too_large"
    assert os.listdir(server.inbox.path) == []


async def test_json_that_is_too_large(server: Server) -> None:
    problem = await server.post("/v1/jobs", json={"path": "x" * 100_000}, status=413)
    assert problem["code"] == "request_too_large"


async def test_nothing_is_accepted_while_stopping(server: Server) -> None:
    await server.submit()
    server.stopping = True
    problem = await server.post("/v1/jobs?name=a.mp3", data=b"sound", status=503)
    assert problem["code"] == "shutting_down"
    assert (await server.get("/v1/jobs/1"))["state"] == "queued"


async def test_an_upload_ends_when_the_daemon_stops(server: Server) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            server.stopping = server.stopping or bool(os.listdir(server.inbox.path))
            yield b"x"
            await asyncio.sleep(0)

    problem = await server.post("/v1/jobs?name=a.mp3", data=endless(), status=503)
    assert problem["code"] == "shutting_down"
    assert os.listdir(server.inbox.path) == []


async def test_a_client_that_vanishes_leaves_nothing(
    on_socket: Server, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_unix_connection(on_socket.socket)
    writer.write(
        b"POST /v1/jobs?name=a.mp3 HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + b"x" * 9
    )
    await eventually(lambda: os.listdir(on_socket.inbox.path))
    writer.transport.abort()
    await eventually(lambda: not os.listdir(on_socket.inbox.path))
    assert await reader.read() == b""
    assert (await on_socket.get("/v1/jobs"))["jobs"] == []
    assert "failed" not in caplog.text


async def test_an_upload_that_can_not_be_queued_leaves_nothing(server: Server) -> None:
    await server.submit()
    await server.store.run(lambda db: db.pragma("query_only", True))  # noqa: FBT003 - its value
    upload = "/v1/jobs?name=other.mp3&priority=urgent"
    problem = await server.post(upload, data=b"recording 1", status=503)
    assert problem["code"] == "read_only"
    assert os.listdir(server.inbox.path) == ["talk.mp3"]


async def test_a_new_recording_that_can_not_be_queued_leaves_nothing(server: Server) -> None:
    await server.store.run(lambda db: db.pragma("max_page_count", 1))  # no more than there are
    target = f"/v1/jobs?name=new.mp3&set=prompt={'x' * 6000}"
    problem = await server.post(target, data=b"new sound", status=503)
    assert problem["code"] == "disk_full"
    assert os.listdir(server.inbox.path) == []


async def test_a_scan_leaves_an_upload_to_who_receives_it(server: Server) -> None:
    rooms, outcomes = server.rooms, []
    arrivals = Arrivals(rooms.live, rooms.store, server.clock, rooms.folders, server.intake)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"new sound"
        stored = server.inbox.path.iterdir
        await eventually(lambda: sum(one.stat().st_size for one in stored()) == len(b"new sound"))
        (temporary,) = stored()
        os.link(temporary, server.inbox.path / "new.mp3")  # as it gets its name
        found = Found(b"new.mp3", Identity.of(temporary.stat()))
        outcomes.extend(await arrivals.take(server.inbox, [found]))
        os.unlink(server.inbox.path / "new.mp3")

    view = await server.post("/v1/jobs?name=new.mp3", data=chunks(), status=202)
    assert isinstance(outcomes[0], SourceChanged)
    found = Found(b"new.mp3", Identity.of((server.inbox.path / "new.mp3").stat()))
    assert await arrivals.take(server.inbox, [found]) == [None]
    listed = await server.get("/v1/jobs")
    assert [one["id"] for one in listed["jobs"]] == [view["id"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")
async def test_an_upload_into_an_inbox_that_only_others_may_write(server: Server) -> None:
    server.inbox.path.chmod(0o755)
    os.seteuid(65534)
    try:
        problem = await server.post("/v1/jobs?name=new.mp3", data=b"new sound", status=503)
    finally:
        os.seteuid(0)
    assert problem["code"] == "upload_failed"
    assert (
        "default: scriberrd may not write into its folder (Permission denied): "
        in (problem["detail"])
    )


async def test_the_right_inbox_of_two_that_are_nested(server: Server) -> None:
    outer, inner = server.config.inboxes
    config = replace(server.config, inboxes=(outer, replace(inner, path=outer.path / "deep")))
    inbox, path = locate(config, f"{outer.path}/deep/./a//b.mp3", None)
    assert (inbox.name, path) == ("other", b"a/b.mp3")
    assert locate(config, f"{outer.path}/deep.mp3", None) == (outer, b"deep.mp3")
