"""The disk of the database fills up, fails, becomes read-only, or loses its power."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for
from promises import checkpointed, paused, recorded, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[..., Program]
    Mount = Callable[..., None]

SPEECH = AUDIO / "speech.opus"
SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = TALK
EXT4_IOC_SHUTDOWN = 0x8004587D  # of linux/ext4.h: the file system stops here and now
NO_FLUSH = 2  # without writing what is still in memory

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def fill(folder: Path) -> Path:
    """Leave no room on the file system of a folder."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.fault(14)
def test_no_space_in_a_transaction(program: Make, mount: Mount) -> None:
    """no space left for the database when a recording comes in
    -> says so, keeps answering; takes it in by itself when there is room"""
    daemon = program(start=False, block_seconds=5)
    mount(daemon.root / "state", "-t", "tmpfs", "-o", "size=16m", "tmpfs")
    daemon.start()
    filler = fill(daemon.root / "state")
    for number in range(3):
        daemon.drop(SENTENCE.read_bytes() + b"%d" % number, f"{number}.wav")
    wait_for(lambda: daemon.said("make room"), "the complaint")
    assert paused(daemon) == ("store", "store_failed")
    assert refusal(daemon, "0.wav") == (503, "disk_full")
    assert (daemon.ctl("status")["state"], daemon.jobs()) == ("running", [])
    filler.unlink()
    wait_for(lambda: daemon.ctl("status")["jobs"]["completed"] == 3, "all of them")
    assert {job["failures"] for job in daemon.ctl("list", "--all")} == {0}
    assert daemon.ctl("status")["outages"] == []


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
    assert paused(daemon) == ("store", "store_failed")
    assert daemon.job("long.opus") is not None
    filler.unlink()
    assert daemon.wait("long.opus", "completed")["failures"] == 0
    assert daemon.ctl("status")["outages"] == []
    assert daemon.said("outage: database") == daemon.said("outage over: database") > 0


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


@pytest.mark.slow
@pytest.mark.fault(16)
def test_the_disk_fails(program: Make, mount: Mount) -> None:
    """nothing can be read from the disk of the database any more, nor written to it
    -> the daemon ends with status 1; after a restart on a sound disk nothing is missing"""
    daemon = program(start=False, block_seconds=5, model="slow")
    plug_in(mount, daemon)
    daemon.start()
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    cut_power(daemon.root / "state")
    assert daemon.wait_dead() == 1
    # SQLite says one or the other, by what it was reading.
    reasons = ("the disk fails", "the file is damaged")
    assert daemon.log.read_text().rstrip().endswith(reasons)
    plug_in(mount, daemon)
    daemon.start()
    assert daemon.wait("long.opus", "completed")["failures"] == 0


@pytest.mark.slow
@pytest.mark.fault(17)
def test_the_file_system_gives_up(program: Make, mount: Mount) -> None:
    """the kernel makes the file system of the database read-only in mid-job
    -> the API answers 503 read_only, reading goes on; nothing is missing once it is repaired"""
    daemon = program(start=False, block_seconds=5, model="slow")
    plug_in(mount, daemon)
    daemon.start()
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    state = daemon.root / "state"
    subprocess.run(["mount", "-o", "remount,abort", state], check=True)
    daemon.drop(SPEECH, "talk.opus")
    assert paused(daemon) == ("store", "store_failed")
    assert refusal(daemon, "talk.opus") == (503, "read_only")
    assert daemon.job("long.opus") is not None
    assert daemon.stop() == 0
    plug_in(mount, daemon)
    daemon.start()
    for name in ("long.opus", "talk.opus"):
        assert daemon.wait(name, "completed")["failures"] == 0


@contextlib.contextmanager
def failing(daemon: Program, call: str, error: str) -> Iterator[None]:
    """Have a system call of the daemon fail, as the kernel does when a disk is broken."""
    assert daemon.daemon is not None
    fault = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}"]
    command = ["strace", "-f", "-p", str(daemon.daemon.pid), *fault]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if "attached" not in said:
            pytest.skip(f"strace may not attach: {said}")
        drain = threading.Thread(target=strace.stderr.read)
        drain.start()
        try:
            yield
        finally:
            strace.terminate()
            drain.join()


@needs_strace
@pytest.mark.fault(16)
def test_a_sync_fails(program: Make) -> None:
    """EIO on fsync of the database in mid-job
    -> the daemon ends with status 1, its workers too; the next one goes on, no failure counted"""
    daemon = program(block_seconds=5, model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    with failing(daemon, "fdatasync", "EIO"):
        daemon.drop(SPEECH, "talk.opus")
        assert daemon.wait_dead() == 1  # systemd starts it again
    assert "the disk fails" in daemon.log.read_text().splitlines()[-1]
    daemon.start()
    for name in ("long.opus", "talk.opus"):
        assert daemon.wait(name, "completed")["failures"] == 0


@needs_strace
@pytest.mark.fault(17)
def test_read_only_for_a_while(program: Make) -> None:
    """the file system of the database refuses writes in mid-job
    -> the API answers 503 read_only and goes on telling what is known; recovers by itself"""
    daemon = program(block_seconds=5, model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    with failing(daemon, "pwrite64", "EROFS"):
        daemon.drop(SPEECH, "talk.opus")
        wait_for(lambda: daemon.said("read-only; trying again"), "the intake")
        assert refusal(daemon, "talk.opus") == (503, "read_only")
        assert paused(daemon) == ("store", "store_failed")
        assert daemon.job("long.opus") is not None
    for name in ("long.opus", "talk.opus"):
        assert daemon.wait(name, "completed")["failures"] == 0
    assert daemon.ctl("status")["outages"] == []


@pytest.mark.fault(17)
@pytest.mark.slow
def test_read_only_at_start(program: Make, mount: Mount) -> None:
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
