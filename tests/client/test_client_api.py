from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
from support import eventually

from scriberrctl import connection as transport
from scriberrctl.client import Client
from scriberrctl.connection import sockets
from scriberrctl.errors import ApiError, NoDaemon, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from api_server import Server


@pytest.fixture
def client(server: Server) -> Client:
    return Client(str(server.socket))


async def test_every_endpoint(server: Server, client: Client) -> None:
    job = await server.submit("talk.mp3")
    call = asyncio.to_thread
    assert await call(client.health) == {"status": "ok"}
    assert (await call(client.status))["jobs"]["queued"] == 1
    assert (await call(client.job, 1))["source"]["sha256"] == job.sha256
    assert (await call(client.jobs, states=("queued", "failed"), text="TALK"))["next"] is None
    assert (await call(client.cancel, 1))["state"] == "canceled"
    assert (await call(client.retry, 1))["state"] == "queued"
    await server.complete(await server.claim(), ("json", "txt"))
    assert await call(client.transcript, 1, "txt") == (b"published txt", False, False)
    assert [run["outcome"] for run in await call(client.executions, 1)] == ["completed"]
    known = await call(client.submit, str(server.inbox.path / "talk.mp3"))
    assert (known[0]["id"], known[1]) == (1, False)
    assert (await call(client.remove, 1))["state"] == "completed"
    assert (await call(client.jobs))["jobs"] == []
    assert not any(row["installed"] for row in await call(client.models))
    assert (await call(client.pull, "tiny.en"))["repository"] == "owner/tiny.en"
    job2, new = await call(client.upload, "Grüße.mp3", io.BytesIO(b"sound"), profile="fast")
    assert (job2["name"], job2["profile"], new) == ("Grüße.mp3", "fast", True)


async def test_events_begin_with_the_call(server: Server, client: Client) -> None:
    def follow() -> list[tuple[int, str]]:
        with client.stream(job=1) as stream:
            events = (event for _, event in stream if event is not None)
            client.cancel(1)  # after the stream was opened, before it is read
            client.retry(1)
            return [(event["job"], event["type"]) for _, event in zip("ab", events, strict=False)]

    await server.submit()
    assert await asyncio.to_thread(follow) == [(1, "canceled"), (1, "retried")]


async def test_a_full_queue_is_waited_for(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, sleep = threading.Event(), time.sleep
    monkeypatch.setattr(transport.time, "sleep", lambda _: (waits.set(), sleep(0.001)))
    server.listener.socket.listen(1)  # and nobody accepts while this test does not wait
    with contextlib.ExitStack() as stack:
        full = False
        while not full:
            other = stack.enter_context(socket.socket(socket.AF_UNIX))
            other.settimeout(0)
            full = other.connect_ex(str(server.socket)) != 0
        asked: Future[dict[str, str]] = Future()
        thread = threading.Thread(target=lambda: asked.set_result(client.health()))
        thread.start()
        assert waits.wait(20)
        assert await asyncio.wrap_future(asked) == {"status": "ok"}
        thread.join()


async def test_waiting_for_events_has_an_end(client: Client) -> None:
    def follow() -> None:
        with client.stream(deadline=time.monotonic() + 0.05) as events:
            list(events)

    with pytest.raises(TimedOut):
        await asyncio.to_thread(follow)


async def test_a_refusal_has_its_code(client: Client) -> None:
    with pytest.raises(ApiError, match="there is no job 7") as caught:
        await asyncio.to_thread(client.job, 7)
    assert (caught.value.code, caught.value.status, caught.value.exit_code) == (
        "job_not_found",
        404,
        4,
    )


async def test_an_upload_that_is_refused_half_way(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        await asyncio.to_thread(client.upload, "a.mp3", io.BytesIO(b"x" * 5_000_000))
    assert caught.value.code == "upload_too_large"


async def test_another_version_is_told_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transport, "__version__", "7.1.0")
    client = Client(str(server.socket))
    for _ in range(2):
        await asyncio.to_thread(client.health)
    warning = capsys.readouterr().err
    assert warning.count("warning: scriberrctl is 7.1.0, but the daemon is 0.1") == 1


@pytest.fixture
def mute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A socket whose daemon is stopped: it is connected to, and never answers."""
    path = tmp_path_factory.mktemp("s") / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def test_a_daemon_that_does_not_answer(mute: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.05)
    for ask in (Client(str(mute)).status, lambda: Client(str(mute)).submit("/a.mp3")):
        with pytest.raises(NoDaemon, match="does not answer"):
            ask()


def test_an_upload_that_is_not_taken(mute: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "STREAM_PATIENCE", 0.05)
    with pytest.raises(NoDaemon, match="does not answer"):
        Client(str(mute)).upload("a.mp3", io.BytesIO(bytes(5_000_000)))


def test_a_wait_ends_in_time_though_nobody_answers(
    mute: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 3600.0)
    deadline = time.monotonic() + 1.2
    with pytest.raises(TimedOut), Client(str(mute)).stream(deadline=deadline):
        pass


async def test_a_submission_may_take_long_while_the_daemon_answers(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, ask, asked = server.intake.accept, client.connection.ask, []

    async def slow(*args: Any, **options: Any) -> tuple[Any, bool]:
        await eventually(lambda: len(asked) >= 3)
        return await accept(*args, **options)

    monkeypatch.setattr(transport, "PATIENCE", 0.3)
    monkeypatch.setattr(client.connection, "ask", lambda *what: asked.append(ask(*what)))
    monkeypatch.setattr(server.intake, "accept", slow)
    (server.inbox.path / "a.mp3").touch()
    path = str(server.inbox.path / "a.mp3")
    assert (await asyncio.to_thread(client.submit, path))[1] is True


async def test_another_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "s"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        with pytest.raises(NoDaemon, match="another program answers"):
            await asyncio.to_thread(Client(str(path)).status)


def test_a_daemon_that_dies(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def die() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=die)
        thread.start()
        with pytest.raises(NoDaemon, match="lost the connection"):
            Client(str(path)).status()
        thread.join()


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon) as caught:
        Client(str(tmp_path / "s")).status()
    text = str(caught.value)
    assert f"{tmp_path}/s: No such file or directory" in text
    assert "sudo systemctl start scriberrd" in text


def test_where_the_daemon_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport.os, "getuid", lambda: 1000)
    monkeypatch.delenv("SCRIBERRD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/run")
    end = "scriberrd/scriberrd.sock"
    assert sockets(None) == [f"/tmp/run/{end}", f"/run/user/1000/{end}", f"/run/{end}"]
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert sockets(None) == [f"/run/user/1000/{end}", f"/run/{end}"]
    monkeypatch.setenv("SCRIBERRD_SOCKET", "/a")
    assert sockets(None) == ["/a"]
    assert sockets("/b") == ["/b"]
