"""The clock jumps, or everything stands still for a while."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, TALK, Program, wait_for
from promises import checkpointed

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SABOTEUR = (sys.executable, Path(__file__).parent / "saboteur.py")
DIALOGUE = TALK
SPEECH = AUDIO / "speech.opus"
BACK, FORWARD = -86_400.0, 10 * 365.25 * 86_400


def wrong_clock(program: Program) -> Callable[[float, float], None]:
    """Start a program whose clocks can be put wrong, by seconds: the wall's, the monotonic one."""
    file = program.root / "clock"

    def put_wrong(wall: float, monotonic: float = 0) -> None:
        new = file.with_suffix(".new")
        new.write_text(f"{wall} {monotonic}")
        new.rename(file)

    put_wrong(0)
    program.start(*SABOTEUR, SABOTAGE_CLOCK=str(file))
    return put_wrong


@pytest.mark.fault(24)
@pytest.mark.parametrize("jump", [BACK, pytest.param(FORWARD, marks=pytest.mark.slow)])
def test_jump_in_mid_job(program: Make, jump: float) -> None:
    """the clock is set back a day, or forward ten years, in mid-job
    -> the lease holds: one run, no failure counted"""
    daemon = program(start=False, model="slow", block_seconds=5)
    put_wrong = wrong_clock(daemon)
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    put_wrong(jump)
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    assert len(daemon.ctl("show", job["id"])["executions"]) == 1


@pytest.mark.fault(24)
@pytest.mark.parametrize("jump", [BACK, pytest.param(FORWARD, marks=pytest.mark.slow)])
def test_jump_while_a_retry_waits(program: Make, jump: float) -> None:
    """the clock is set back a day, or forward ten years, while a recording waits to be tried again
    -> it is due at the next look, not in a day"""
    daemon = program(start=False, model="crash-once", block_seconds=5, backoff="30m")
    put_wrong = wrong_clock(daemon)
    daemon.drop(SPEECH, "talk.opus")
    wait_for(
        lambda: daemon.said("talk.opus") and daemon.said("to be tried again"),
        "the failure",
    )
    put_wrong(jump)
    daemon.drop(AUDIO / "sentence.wav", "next.wav")  # something happens: the queue is looked at
    daemon.wait("next.wav", "completed")
    assert daemon.wait("talk.opus", "completed")["failures"] == 1


@pytest.mark.fault(25)
@pytest.mark.slow
def test_suspend(program: Make) -> None:
    """everything stands still for longer than any time-out, then goes on
    -> the lease is settled: it ends well, in one run, no failure counted"""
    daemon = program(model="slow", block_seconds=5, heartbeat_timeout="2s", stall_timeout="2s")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    assert daemon.daemon is not None
    processes = daemon.processes()
    for process in processes:
        process.suspend()
    until = time.monotonic() + 4
    wait_for(lambda: time.monotonic() > until, "the end of the fault")
    for process in processes:
        process.resume()
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    assert len(daemon.ctl("show", job["id"])["executions"]) == 1


@pytest.mark.fault(25)
@pytest.mark.slow
def test_reboot(program: Make) -> None:
    """everything is killed at once, and the monotonic clock starts again from nothing
    -> leases of the time before hold nobody up"""
    daemon = program(start=False, model="slow", block_seconds=5)
    put_wrong = wrong_clock(daemon)
    put_wrong(0, 10_000_000)
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    for process in daemon.processes():
        process.kill()
    assert daemon.wait_dead() == -signal.SIGKILL
    daemon.start()
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    runs = daemon.ctl("show", job["id"])["executions"]
    assert [run["outcome"] for run in runs] == ["lost", "completed"]


@pytest.mark.fault(45)
def test_ahead_for_one_look(program: Make) -> None:
    """power fails, and the clock is ten years ahead when the daemon takes back what it held
    -> nothing is deleted by age, and the journal says so"""
    daemon = program(model="slow", block_seconds=5)
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    daemon.stop(signal.SIGKILL)
    ages = '[retention]\njobs = "300d"\nevents = "300d"\ntranscripts = "300d"\n[retry]'
    daemon.config.write_text(daemon.config.read_text().replace("[retry]", ages))
    files = daemon.files()
    file = daemon.root / "clock"
    file.write_text(f"{FORWARD} 0")
    daemon.start(*SABOTEUR, SABOTAGE_CLOCK=str(file))
    wait_for(lambda: daemon.said("nothing is deleted"), "the look")
    (event, *_) = events(daemon)
    assert (event["type"], event["job"]) == ("submitted", 1)
    daemon.wait("long.opus", "completed")  # which has events of the time to come
    assert [job["path"] for job in daemon.jobs()] == ["talk.opus", "long.opus"]
    daemon.stop(signal.SIGKILL)
    daemon.start(*SABOTEUR, SABOTAGE_CLOCK=str(file))
    wait_for(lambda: daemon.said("nothing is deleted") == 2, "the look of the next daemon")
    assert set(daemon.files()) > set(files)
    assert not daemon.said("pruned ")
    assert not daemon.said("published files")


def events(daemon: Program) -> list[dict[str, Any]]:
    """All that is kept of what happened, but for the latest."""
    command = [*daemon.client, "--json", "events", "--after", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        found = [json.loads(client.stdout.readline()) for _ in range(2)]
        client.terminate()
    return found
