"""The daemon stands still; the service manager notices."""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import DEADLINE, TALK, Program
from promises import checkpointed

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SABOTEUR = (sys.executable, Path(__file__).parent / "saboteur.py")
WATCHDOG = 2.0  # seconds without a message after which a service manager ends the daemon


def wait_until_silent(manager: socket.socket) -> None:
    """Read what the daemon tells until it tells nothing for too long, as a manager does."""
    deadline = time.monotonic() + DEADLINE
    manager.settimeout(WATCHDOG)
    while time.monotonic() < deadline:
        try:
            manager.recv(1000)  # its status, too
        except TimeoutError:
            return
    pytest.fail("it still says that it lives")


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (signal.SIGUSR1, signal.SIGABRT),
        pytest.param(signal.SIGSTOP, signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_stands_still(
    program: Make, tmp_path: Path, fault: signal.Signals, end: signal.Signals
) -> None:
    """the event loop of the daemon is blocked, or all of it is stopped, in mid-job
    -> the watchdog hears nothing more, and ends it; the next one goes on, no failure counted"""
    daemon = program(start=False, model="slow", block_seconds=5)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE)
        daemon.start(
            *SABOTEUR,
            NOTIFY_SOCKET=str(tmp_path / "notify"),
            WATCHDOG_USEC=str(int(WATCHDOG * 1e6)),
        )
        while manager.recv(1000) != b"WATCHDOG=1":
            pass
        daemon.drop(TALK, "long.opus")
        checkpointed(daemon, "long.opus")
        assert daemon.daemon is not None
        daemon.daemon.send_signal(fault)
        wait_until_silent(manager)
    assert daemon.stop(end) == -end
    daemon.start()
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    runs = daemon.ctl("show", job["id"])["executions"]
    assert [run["outcome"] for run in runs] == ["lost", "completed"]
