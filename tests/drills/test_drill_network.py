"""A library that a worker loads would like to call its maker."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, MODEL, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[..., Program]
    Seen = Callable[[object], None]

# The voice detector of every worker, in a process that leaves its libraries as they come.
BARE = "import faster_whisper.vad as vad, time; vad.get_vad_model(); time.sleep(3600)"


def started(program: Make) -> Program:
    """A daemon with a model on this machine, and with an empty home."""
    daemon = program(start=False, engine="faster-whisper", model=MODEL)
    (daemon.root / "home").mkdir()
    daemon.start(HOME=str(daemon.root / "home"))
    return daemon


def asked(trace: Path) -> bool:
    """Whether a socket to the network was opened."""
    return trace.exists() and "AF_INET" in trace.read_text()


def kept_in_home(daemon: Program) -> list[Path]:
    return [path for path in (daemon.root / "home").rglob("*") if path.is_file()]


@contextlib.contextmanager
def tracing(file: Path, *what: str, **environment: str) -> Iterator[None]:
    """Have a file tell what a command, or `-p` a process, asks of the network."""
    kept = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    process = subprocess.Popen(
        ["strace", "-f", "-q", "-e", "trace=network", "-o", file, *what],
        env=kept | environment,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with the command; a traced process goes on
        process.wait()


@pytest.mark.fault(50)
def test_leaves_no_mark(program: Make) -> None:
    """a library that gives the machine a name, to report by it
    -> it does not: the home of the daemon's user stays empty"""
    daemon = started(program)
    daemon.drop(AUDIO / "sentence.wav", "one.wav")
    daemon.wait("one.wav", "completed")
    assert kept_in_home(daemon) == []


@pytest.mark.slow
@pytest.mark.fault(50)
def test_asks_the_network_for_nothing(program: Make, tmp_path: Path, seen: Seen) -> None:
    """a library that asks for the host of its maker some time after it was loaded
    -> in a worker it does not, and nothing else opens a socket to the network"""
    if shutil.which("strace") is None or os.geteuid() != 0:
        pytest.skip("needs strace, and the right to trace")
    daemon = started(program)
    assert daemon.daemon is not None
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    home = {"HOME": str(tmp_path / "home")}
    with tracing(ours, "-p", str(daemon.daemon.pid)):
        wait_for(ours.exists, "the trace")
        daemon.drop(AUDIO / "sentence.wav", "one.wav")
        daemon.wait("one.wav", "completed")
        with tracing(theirs, sys.executable, "-c", BARE, **home):  # it has loaded it later
            wait_for(lambda: asked(theirs), "the library as it comes")
        assert daemon.workers()
        assert "AF_UNIX" in ours.read_text()  # what the daemon does is seen at all
        assert not asked(ours)
    seen("no socket")
