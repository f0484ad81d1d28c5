"""Clients that hold a connection: which of them keep it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from api_server import Server, serve
from support import eventually

from scriberrd.api.connections import PATIENCE, STEP
from scriberrd.api.socket import listening
from scriberrd.errors import AlreadyRunning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
    Connect = Callable[..., Coroutine[None, None, Peer]]

UPLOAD = b"POST /v1/jobs?name=a.mp3 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
EVENTS = b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"
STATUS = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with serve(tmp_path_factory.mktemp("s"), most=3) as running:
        yield running


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Connect]:
    """Connect a client that says this."""
    with contextlib.ExitStack() as stack:

        async def one(said: bytes = b"") -> Peer:
            reader, writer = await asyncio.open_unix_connection(server.socket)
            stack.callback(_abort, writer)
            writer.write(said)
            return reader, writer

        yield one
    await asyncio.sleep(0)  # the transports close


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def later(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def uploading(server: Server) -> bool:
    return bool(os.listdir(server.inbox.path))


async def test_the_longest_idle_makes_room(server: Server, connect: Connect) -> None:
    first, second, _ = [await connect() for _ in range(3)]
    await server.get("/v1/status")
    assert await first[0].read() == b""
    second[1].write(STATUS)
    assert await second[0].readline() == b"HTTP/1.1 200 OK\r\n"


async def test_when_all_are_in_use_another_is_told(server: Server, connect: Connect) -> None:
    streams = [await connect(EVENTS) for _ in range(3)]
    for reader, _ in streams:
        await reader.readuntil(b":\n\n")
    problem = await server.get("/v1/status", status=503)
    assert problem["code"] == "too_many_connections"
    streams[0][1].transport.abort()
    await eventually(lambda: len(server.connections.open) < 3)
    await server.get("/v1/status")


async def test_a_hundred_clients_can_follow_what_happens(on_socket: Server) -> None:
    with contextlib.ExitStack() as stack:
        readers = []
        for _ in range(100):
            reader, writer = await asyncio.open_unix_connection(on_socket.socket)
            stack.callback(_abort, writer)
            writer.write(EVENTS)
            assert b" 200 " in await reader.readuntil(b"\r\n")
            await reader.readuntil(b":\n\n")
            readers.append(reader)
        await on_socket.submit("talk.mp3")
        for reader in readers:
            await reader.readuntil(b"event: submitted\n")
    await asyncio.sleep(0)  # the transports close


async def test_uploads_leave_room(server: Server, connect: Connect) -> None:
    await connect(UPLOAD)
    await eventually(lambda: uploading(server))
    reader, _ = await connect(UPLOAD)
    await reader.readuntil(b'"code":"too_many_connections"')
    await server.get("/v1/status")


@pytest.mark.parametrize("said", [b"", STATUS[:20]])
async def test_who_sends_no_whole_request_is_closed(
    server: Server, connect: Connect, said: bytes
) -> None:
    reader, _ = await connect(said)
    await eventually(lambda: server.connections.open)
    server.connections.look(later(PATIENCE - 5))
    assert server.connections.open
    server.connections.look(later(PATIENCE))
    assert await reader.read() == b""


async def test_an_upload_that_does_not_come_is_ended(
    server: Server, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    reader, _ = await connect(UPLOAD + b"x")
    await eventually(lambda: uploading(server))
    server.connections.look(later(PATIENCE))
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer
    assert not uploading(server)
    assert "Traceback" not in caplog.text


async def test_an_upload_that_comes_slowly_goes_on(server: Server, connect: Connect) -> None:
    reader, writer = await connect(UPLOAD)
    await eventually(lambda: uploading(server))
    (one,) = server.connections.open.values()
    sent = 0
    for minute in range(6):
        writer.write(b"x" * STEP)
        sent += STEP
        await eventually(lambda: one.request and one.request.content.total_bytes == sent)  # noqa: B023
        server.connections.look(later(minute * (PATIENCE - 5)))
    writer.write(b"x" * (100_000 - sent))
    assert await reader.readline() == b"HTTP/1.1 202 Accepted\r\n"


async def test_a_stream_of_events_stays(server: Server, connect: Connect) -> None:
    reader, _ = await connect(EVENTS)
    await reader.readuntil(b":\n\n")
    server.connections.look(later(100 * PATIENCE))
    await server.submit()
    await reader.readuntil(b"event: submitted")


async def test_who_does_not_read_is_closed(server: Server, connect: Connect) -> None:
    _, writer = await connect()
    await eventually(lambda: server.connections.open)
    (one,) = server.connections.open.values()
    writer.transport.pause_reading()
    writer.write(STATUS * 5000)
    await eventually(lambda: one.transport.get_write_buffer_size() > 0)
    await eventually(lambda: one.request is None)
    server.connections.look(later(0))
    server.connections.look(later(PATIENCE - 5))
    assert server.connections.open
    server.connections.look(later(PATIENCE))
    assert not server.connections.open


async def test_what_is_no_http_leaves_a_line_and_no_traceback(
    server: Server, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for said in (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"\x16\x03\x01" * 9 + b"\r\n\r\n"):
        reader, _ = await connect(STATUS + said)
        assert b" 400 Bad Request" in await reader.read()
    assert (
        caplog.text.count("a malformed request: ") == 1
    )  # the other says that it is no HTTP at all
    assert "Traceback" not in caplog.text
    assert await server.get("/v1/health") == {"status": "ok"}


async def test_who_waited_at_a_socket_that_was_removed_is_served(
    server: Server, connect: Connect
) -> None:
    waiting = asyncio.create_task(connect(STATUS))
    shutil.rmtree(server.socket.parent)
    server.connections.stay_reachable()
    await server.get("/v1/status")
    with contextlib.suppress(FileNotFoundError):  # it had not connected yet
        assert await (await waiting)[0].readline() == b"HTTP/1.1 200 OK\r\n"


async def test_the_socket_of_another_daemon_is_left_to_it(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen();"
        "os.rename('s', sys.argv[1]); print(flush=True); sys.stdin.read()"
    )
    pipe = asyncio.subprocess.PIPE
    other = await asyncio.create_subprocess_exec(
        "python3", "-c", command, server.socket, stdin=pipe, stdout=pipe, cwd=tmp_path
    )
    assert other.stdout is not None
    await other.stdout.readline()
    file = server.socket.stat().st_ino
    for _ in range(3):
        server.connections.stay_reachable()
    assert server.socket.stat().st_ino == file
    assert (
        caplog.text.count("can't listen any more, no client can connect: another daemon listens at")
        == 1
    )
    with pytest.raises(AlreadyRunning), listening(server.socket):
        pass
    await other.communicate(b"end")
    server.connections.stay_reachable()
    await server.get("/v1/status")


async def test_a_socket_whose_rights_were_changed_is_still_ours(server: Server) -> None:
    server.socket.chmod(0o600)
    server.connections.stay_reachable()
    assert server.socket.stat().st_mode & 0o777 == 0o600
