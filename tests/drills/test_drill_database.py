"""The database's disk fills up or fails, its file is wrong, or somebody else holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import apsw
import pytest
from program import AUDIO, BIN, TESTS, Program, wait_for
from promises import checkpointed, recorded

from scriberrctl.client import Client
from scriberrctl.errors import ApiError
from scriberrd import store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]
    Mount = Callable[..., None]

SPEECH = AUDIO / "speech.opus"
DIALOGUE = AUDIO / "dialogue.opus"
EXT4_IOC_SHUTDOWN = 0x8004587D  # of linux/ext4.h: the file system stops here and now
NO_FLUSH = 2  # without writing what is still in memory
HOLDER = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def fill(folder: Path) -> Path:
    """Leave no room on the file system of a folder."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def refusal(program: Program, name: str) -> tuple[int, str]:
    """What the API answers when a recording is submitted: HTTP status and code."""
    with pytest.raises(ApiError) as caught:
        Client(str(program.socket)).submit(str(program.inbox / name))
    return caught.value.status, caught.value.code


@pytest.mark.fault(14)
def test_no_space_in_a_transaction(program: Make, mount: Mount) -> None:
    """no space left for the database when a recording comes in
    -> says so, keeps answering; takes it in by itself when there is room"""
    daemon = program(start=False, block_seconds=5)
    mount(daemon.root / "state", "-t", "tmpfs", "-o", "size=16m", "tmpfs")
    daemon.start()
    filler = fill(daemon.root / "state")
    daemon.drop(SPEECH, "talk.opus")
    wait_for(lambda: daemon.said("make room"), "the complaint")
    assert refusal(daemon, "talk.opus") == (503, "disk_full")
    assert (daemon.ctl("status")["state"], daemon.jobs()) == ("running", [])
    filler.unlink()
    daemon.wait("talk.opus", "completed")


@pytest.mark.fault(15)
def test_no_space_at_a_checkpoint(program: Make, mount: Mount) -> None:
    """no space left for the database in mid-job
    -> what is known can still be read; goes on by itself, no failure counted"""
    daemon = program(start=False, block_seconds=5, model="slow")
    mount(daemon.root / "state", "-t", "tmpfs", "-o", "size=16m", "tmpfs")
    daemon.start()
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    filler = fill(daemon.root / "state")
    wait_for(lambda: daemon.said("make room"), "the complaint")
    assert daemon.job("long.opus") is not None
    filler.unlink()
    assert daemon.wait("long.opus", "completed")["failures"] == 0


def plug_in(mount: Mount, program: Program) -> None:
    """A disk of its own for the state of a program; again, after its power was cut."""
    image, state = program.root / "disk", program.root / "state"
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if state.is_mount():
        subprocess.run(["umount", state], check=True)
    mount(state, "-o", "loop", image)


def cut_power(folder: Path) -> None:
    """Nothing reaches the disk of this folder any more, not even what was written already."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_FLUSH))
    finally:
        os.close(descriptor)


@pytest.mark.fault(13)
@pytest.mark.parametrize("when", ["queued", "processing"])
def test_power_cut(program: Make, mount: Mount, when: str) -> None:
    """the power fails: all that was not synced is gone
    -> acknowledged jobs are there, finished blocks too"""
    daemon = program(start=False, block_seconds=5, model="slow")
    plug_in(mount, daemon)
    daemon.start()
    daemon.drop(DIALOGUE, "long.opus")
    if when == "queued":
        daemon.wait("long.opus", "queued", "processing")
    else:
        checkpointed(daemon, "long.opus")
    blocks = recorded(daemon, b"long.opus").blocks
    cut_power(daemon.root / "state")
    daemon.stop(signal.SIGKILL)
    plug_in(mount, daemon)
    after = recorded(daemon, b"long.opus")
    assert after.blocks[: len(blocks)] == blocks
    daemon.start()
    assert daemon.wait("long.opus", "completed")["failures"] == 0


@pytest.mark.fault(16)
@pytest.mark.slow
def test_the_disk_fails(program: Make, mount: Mount) -> None:
    """every write to the disk of the database fails
    -> the API answers 503 with a code; after a restart on a sound disk nothing is missing"""
    daemon = program(start=False, block_seconds=5, model="slow")
    plug_in(mount, daemon)
    daemon.start()
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    cut_power(daemon.root / "state")
    wait_for(lambda: daemon.said(" ERROR "), "the complaint")
    assert refusal(daemon, "long.opus") == (503, "store_failed")
    daemon.stop()
    plug_in(mount, daemon)
    daemon.start()
    assert daemon.wait("long.opus", "completed")["failures"] == 0


@pytest.mark.fault(17)
@pytest.mark.slow
def test_read_only(program: Make, mount: Mount) -> None:
    """the file system of the database is read-only at start
    -> refuses with the reason, changes nothing; starts once it is writable"""
    daemon = program(block_seconds=5, model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    daemon.stop(signal.SIGKILL)
    state = daemon.root / "state"
    mount(state, "--bind", state)
    subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
    daemon.launch()
    assert daemon.wait_dead() == 1
    subprocess.run(["umount", state], check=True)
    assert "Read-only" in daemon.log.read_text().splitlines()[-1]
    daemon.start()
    assert daemon.wait("long.opus", "completed")["failures"] == 0


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
    "make",
    [
        pytest.param(other_application, marks=pytest.mark.fault(19)),
        pytest.param(garbage, marks=pytest.mark.fault(19)),
        pytest.param(newer, marks=pytest.mark.fault(20)),
    ],
)
def test_not_its_database(program: Make, make: Callable[[Path], None]) -> None:
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
        (first.config, "another daemon holds"),
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
