"""Clients that hold connections and do nothing with them, and a socket that is taken away."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, DEADLINE, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
FEW = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")  # descriptors
CLIENTS = 2000
SMALL = 200_000  # bytes of a log with all that is said at the level "debug"
HEADER = b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = b"POST /v1/jobs?name=slow.wav HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nx"
STREAM = b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"
UNREAD = b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n" * 50


@pytest.fixture
def crowd() -> Iterator[Callable[..., list[socket.socket]]]:
    """Connect many clients, which say this and nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:

        def connect(path: Path, number: int, said: bytes = b"") -> list[socket.socket]:
            if number > hard - 100:
                pytest.skip("needs the right to open more files")
            clients = []
            for _ in range(number):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.settimeout(0)
                wait_for(lambda client=client: client.connect_ex(str(path)) == 0, "the daemon")
                client.settimeout(DEADLINE)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(said)
                clients.append(client)
            return clients

        yield connect
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def works(daemon: Program, name: str) -> None:
    """See that it does what it is for, and answers."""
    daemon.drop(SENTENCE.read_bytes() + name.encode(), name)
    daemon.wait(name, "completed")
    assert daemon.ctl("status")["state"] == "running"
    assert daemon.log.stat().st_size < SMALL


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("said", "number"),
    [
        pytest.param(b"", CLIENTS, id="silent"),
        pytest.param(BODY, 200, id="body"),
        pytest.param(HEADER, 200, id="header", marks=pytest.mark.slow),
        pytest.param(STREAM, 200, id="events", marks=pytest.mark.slow),
        pytest.param(UNREAD, 200, id="unread", marks=pytest.mark.slow),
    ],
)
def test_a_crowd(program: Make, crowd: Callable[..., object], said: bytes, number: int) -> None:
    """far more clients connect than there are descriptors, and say nothing, say it for ever, or do
    not read
    -> a dropped file is transcribed, status answers, the log stays small"""
    daemon = program(start=False)
    daemon.start(*FEW)
    crowd(daemon.socket, number, said)
    works(daemon, "during.wav")


@pytest.mark.fault(39)
def test_no_descriptors(program: Make, crowd: Callable[..., object]) -> None:
    """the daemon may open no more files than it has open
    -> it says so in few lines, and goes on as soon as it may"""
    daemon = program(start=False)
    daemon.start("sh", "-c", 'ulimit -S -n 128; exec "$@"', "sh")
    assert daemon.daemon is not None
    pid = daemon.daemon.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert limits[0] == limits[1]  # it takes what it may
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    crowd(daemon.socket, 50, HEADER)
    wait_for(lambda: daemon.said("can't accept connections for now: ") > 1, "the shortage")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    works(daemon, "after.wav")


@pytest.mark.fault(47)
@pytest.mark.parametrize("gone", ["file", "folder"])
def test_the_socket_is_taken_away(
    program: Make, crowd: Callable[..., list[socket.socket]], gone: str
) -> None:
    """the file of the socket, or its folder, is removed while the daemon runs
    -> it listens there again, who is connected stays so, and the file goes with the daemon"""
    daemon = program(start=False)
    path = daemon.root / "run" / "s"
    daemon.config.write_text(daemon.config.read_text().replace(str(daemon.socket), str(path)))
    daemon.socket, daemon.client = path, [*daemon.client[:-1], path]
    daemon.start()
    (stream,) = crowd(path, 1, STREAM)
    works(daemon, "before.wav")
    if gone == "file":
        path.unlink()
    else:
        shutil.rmtree(path.parent)
    wait_for(path.exists, "the socket")
    works(daemon, "after.wav")
    assert daemon.said("created it again") == 1
    told = b""
    while b'"job":2,"type":"finished"' not in told:
        told += (more := stream.recv(10_000))
        assert more
    assert daemon.stop() == 0
    assert not path.exists()
