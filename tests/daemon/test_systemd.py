"""What the service manager hears, over a real socket."""

from __future__ import annotations

import asyncio
import functools
import gc
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, DEADLINE, Program, wait_for

from scriberrctl.client import Client
from scriberrd import __version__, systemd
from scriberrd.logs import Event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HAND_OVER = """
import os, socket, sys
handed, removed, *command = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(handed)
server.listen()
os.dup2(server.fileno(), 3)
os.set_inheritable(3, True)
if removed:
    os.remove(handed)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(command[0], command)
"""
MORE_TIME = b"EXTEND_TIMEOUT_USEC=60000000"


def test_ready_alive_and_stopping(program: Callable[..., Program], tmp_path: Path) -> None:
    daemon = program(start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(DEADLINE)
        manager.bind(str(tmp_path / "notify"))
        # A time for the watchdog that is short, so that the test is too.
        daemon.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000")
        assert manager.recv(1000).startswith(b"EXTEND_TIMEOUT_USEC=")
        heard = set[bytes]()
        while len(heard) < 3:
            heard.add(manager.recv(1000))
        assert heard == {b"READY=1", b"WATCHDOG=1", b"STATUS=0 processing, 0 queued, 0 failed"}
        # As a manager does, read on: its queue is short, and what does not fit in is lost.
        with ThreadPoolExecutor() as reader:
            told = reader.submit(lambda: list(iter(lambda: manager.recv(1000), MORE_TIME)))
            daemon.drop(AUDIO / "sentence.wav", "one.wav")
            daemon.wait("one.wav", "completed")
            (worker,) = daemon.workers()
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & worker.environ().keys()
            daemon.stop()
            assert told.result()[-1] == b"STOPPING=1"
            assert b"READY=1" not in told.result()


@pytest.mark.parametrize("removed", ["", "removed"])
def test_ready_at_the_socket_that_was_handed_over(
    program: Callable[..., Program], tmp_path: Path, removed: str
) -> None:
    daemon = program(start=False)
    handed = tmp_path / "handed"
    daemon.start(sys.executable, "-c", HAND_OVER, handed, removed)
    assert daemon.said(f"listening at {handed}, as systemd says") == 1
    if removed:
        wait_for(lambda: daemon.said(f"the socket {handed} was removed"), "what to do")
    else:
        assert Client(str(handed)).status()["version"] == __version__
    assert daemon.stop() == 0


async def test_a_stop_has_the_time_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr(systemd, "EXTENSION", 0.04)
    drained = asyncio.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(0)
        manager.bind(str(tmp_path / "notify"))
        work = asyncio.create_task(drained.wait())
        stop = asyncio.create_task(systemd.stopping(work))
        hear = functools.partial(asyncio.get_running_loop().sock_recv, manager, 1000)
        assert await hear() == b"STOPPING=1"
        assert [await hear() for _ in range(5)] == [b"EXTEND_TIMEOUT_USEC=40000"] * 5
        drained.set()
        await stop


def test_a_stop_says_what_it_waits_for(program: Callable[..., Program], tmp_path: Path) -> None:
    daemon = program(start=False, model="hang-first")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(DEADLINE)
        manager.bind(str(tmp_path / "notify"))
        daemon.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        daemon.drop(AUDIO / "sentence.wav", "one.wav")
        while manager.recv(1000) != b"STATUS=1 processing, 0 queued, 0 failed":
            pass
        (worker,) = wait_for(daemon.workers, "a worker")
        wait_for(lambda: daemon.said("transcribing with"), "its work")
        assert daemon.daemon is not None
        daemon.daemon.terminate()
        while manager.recv(1000) != b"STATUS=stopping: up to 30 s for 1 job (1)":
            pass
        assert daemon.said("stopping: up to 30 s for 1 job (1)")
        shown = subprocess.run(
            [*daemon.client, "status"], capture_output=True, text=True, check=False
        )
        assert " is stopping, up to 30 s for 1 job: " in shown.stdout, shown.stderr
        worker.kill()
        assert daemon.wait_dead() == 0


async def test_the_watchdog_is_fed_only_by_who_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    asked = 0

    async def alive() -> bool:
        """Ill at first, then hanging, and well in the end."""
        nonlocal asked
        asked += 1
        if asked == 2:
            await asyncio.Event().wait()
        return asked > 2

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(0)
        manager.bind(str(tmp_path / "notify"))
        feeding = asyncio.create_task(systemd.keep_alive(alive))
        heard = await asyncio.get_running_loop().sock_recv(manager, 1000)
        assert (heard, asked) == (b"WATCHDOG=1", 3)
        feeding.cancel()
    ill = [one for one in caplog.records if getattr(one, "event", None) is Event.UNHEALTHY]
    assert [one.levelname for one in ill] == ["ERROR", "ERROR"]


def test_a_manager_that_is_gone_or_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    systemd.notify("READY=1")
    gc.collect()  # a socket that was left open would be an error now
    assert "can't notify the service manager: [Errno 2]" in caplog.text
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        caplog.clear()
        wait_for(lambda: systemd.notify("WATCHDOG=1") or caplog.text, "the end of its patience")
    assert "can't notify the service manager: timed out" in caplog.text
