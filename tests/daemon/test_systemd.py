"""What the service manager hears, over a real socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from program import AUDIO, Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_ready_alive_and_stopping(program: Callable[..., Program], tmp_path: Path) -> None:
    daemon = program()
    daemon.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(30)
        manager.bind(str(tmp_path / "notify"))
        # A time for the watchdog that is short, so that the test is too.
        daemon.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000")
        heard = [manager.recv(1000) for _ in range(4)]
        assert sorted(set(heard)) == [b"READY=1", b"WATCHDOG=1"]
        assert heard.count(b"READY=1") == 1
        daemon.drop(AUDIO / "sentence.wav", "one.wav")
        daemon.wait("one.wav", "completed")
        (worker,) = daemon.workers()
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & worker.environ().keys()
        daemon.stop()
        while (message := manager.recv(1000)) == b"WATCHDOG=1":
            pass
        assert message == b"STOPPING=1"
