"""The database is the wrong one, or somebody else holds it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import apsw
import pytest
from program import AUDIO, BIN, TALK, TESTS, Program, wait_for
from promises import checkpointed, refusal

from scriberrd.queue import store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]

SPEECH = AUDIO / "speech.opus"
DIALOGUE = TALK
HOLDER = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def other_application(path: Path) -> None:
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE bookmarks (url)")
    db.close()


def newer(path: Path) -> None:
    db = apsw.Connection(str(path))
    db.pragma("application_id", store.APPLICATION_ID)
    db.pragma("user_version", store.VERSION + 1)
    db.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(other_application, "another application", marks=pytest.mark.fault(19)),
        pytest.param(garbage, "it was left untouched", marks=pytest.mark.fault(19)),
        pytest.param(newer, "upgrade scriberrd", marks=pytest.mark.fault(20)),
    ],
)
def test_not_its_database(program: Make, make: Callable[[Path], None], reason: str) -> None:
    """the file is no database, another application's, or a newer scriberrd's
    -> refuses to start with the reason, leaves it untouched"""
    daemon = program(start=False, block_seconds=5)
    file = daemon.root / "state/scriberrd.db"
    file.parent.mkdir()
    make(file)
    before = file.read_bytes()
    daemon.drop(SPEECH, "talk.opus")
    daemon.launch()
    assert daemon.wait_dead() == 1
    assert reason in daemon.log.read_text().splitlines()[-1]
    assert file.read_bytes() == before
    file.unlink()
    daemon.start()
    daemon.wait("talk.opus", "completed")


@pytest.mark.fault(22)
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [6, 60])
def test_another_process_holds_the_lock(program: Make, seconds: int) -> None:
    """another process holds the write lock for longer than anybody waits (6 s, 60 s)
    -> waits, tells busy; nothing is dropped"""
    daemon = program(block_seconds=5, model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, daemon.root / "state/scriberrd.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        until = time.monotonic() + seconds
        daemon.drop(SPEECH, "talk.opus")
        assert refusal(daemon, "talk.opus") == (503, "busy")
        wait_for(lambda: time.monotonic() > until, "the end of the fault")
        holder.communicate()
    assert daemon.wait("long.opus", "completed")["failures"] == 0
    daemon.wait("talk.opus", "completed")


@pytest.mark.fault(23)
def test_two_daemons(program: Make) -> None:
    """a second daemon on the same state directory, or on the same socket
    -> the second exits with 75, the first keeps both"""
    first = program(block_seconds=5, model="slow")
    first.drop(DIALOGUE, "long.opus")
    checkpointed(first, "long.opus")
    config = first.config.read_text()
    (first.root / "other.toml").write_text(config.replace('"state"', '"state2"'))
    for file, reason in (
        (first.config, "another daemon uses"),
        (first.root / "other.toml", "another daemon listens"),
    ):
        second = subprocess.run(
            [BIN / "scriberrd", "run", "--config", file],
            env=os.environ | {"PYTHONPATH": str(TESTS / "fake_engine")},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert second.returncode == 75
        assert reason in second.stderr
        assert first.ctl("status")["state"] == "running"
    assert first.wait("long.opus", "completed")["failures"] == 0
