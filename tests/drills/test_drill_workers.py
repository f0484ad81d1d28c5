"""A worker dies, hangs, stops or talks nonsense."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for
from promises import checkpointed

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]
    Seen = Callable[[object], None]

SABOTEUR = (sys.executable, Path(__file__).parent / "saboteur.py")
DIALOGUE = TALK
SPEECH = AUDIO / "speech.opus"
MEGABYTE = 1 << 20
SENTENCE = AUDIO / "sentence.wav"  # one block of 5 s: what the fake engine does in later ones only


@pytest.mark.slow
@pytest.mark.fault(3)
def test_killed(program: Make) -> None:
    """SIGSEGV of a worker in mid-job
    -> tried again from the checkpoint, one failure counted"""
    daemon = program(model="slow", block_seconds=5)
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    daemon.workers()[0].send_signal(signal.SIGSEGV)
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 1
    goes_on_after(daemon, signal.SIGSEGV, "worker_crashed")


@pytest.mark.fault(3, 44)
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_killed_by_hand(program: Make, number: int) -> None:
    """somebody kills a worker in mid-job, of a recording that may not fail once
    -> tried again from the checkpoint, as it was; told as worker_killed, no failure counted"""
    daemon = program(model="slow", block_seconds=5, profile="batch_size = 8", retry="attempts = 1")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    daemon.workers()[0].send_signal(number)
    job = daemon.wait("long.opus", "completed")
    assert (job["failures"], job["fallbacks"]) == (0, [])
    goes_on_after(daemon, number, "worker_killed")


def goes_on_after(daemon: Program, number: int, code: str) -> None:
    """The second run of the only recording went on where a signal had ended the first."""
    (job,) = daemon.jobs()
    first, second = daemon.ctl("show", job["id"])["executions"]
    assert (first["outcome"], second["outcome"]) == ("failed", "completed")
    assert first["error"]["code"] == code
    assert first["signal"] == signal.Signals(number).name
    assert f"signal {int(number)}" in first["error"]["detail"]
    assert second["audio_seconds"] < job["progress"]["duration"]


@pytest.mark.fault(4)
def test_crashes_each_time(program: Make) -> None:
    """a recording that crashes its worker each time
    -> set aside as worker_crashed with the signal; others proceed"""
    daemon = program(model="crash", block_seconds=5)
    daemon.drop(DIALOGUE, "bad.opus")
    daemon.drop(SENTENCE, "good.wav")
    job = daemon.wait("bad.opus", "failed")
    assert (job["error"]["code"], job["failures"]) == ("worker_crashed", 3)
    assert "signal 11" in job["error"]["detail"]
    daemon.wait("good.wav", "completed")
    runs = daemon.ctl("show", job["id"])["executions"]
    assert [run["signal"] for run in runs] == ["SIGSEGV"] * 3


def counting(daemon: Program) -> Program:
    """Start it where the kernel counts whom it kills."""
    counter = daemon.root / "proc/vmstat"
    counter.parent.mkdir()
    counter.write_text("oom_kill 7\n")
    daemon.start(*SABOTEUR, SABOTAGE_OOM=str(daemon.root))
    return daemon


@pytest.mark.fault(5)
@pytest.mark.parametrize("model", ["killed-big", pytest.param("oom-big", marks=pytest.mark.slow)])
def test_out_of_memory(program: Make, model: str, seen: Seen) -> None:
    """memory does not suffice: the worker is killed as the kernel does, or told so
    -> goes on with smaller settings from the checkpoint; transcript and journal tell them"""
    daemon = counting(program(start=False, model=model, block_seconds=5, profile="batch_size = 8"))
    daemon.drop(SPEECH, "big.opus")
    daemon.drop(SENTENCE, "good.wav")
    job = daemon.wait("big.opus", "completed")
    steps = ["batch_size 8 -> 4", "batch_size 4 -> 2"]
    assert daemon.transcript("big.json")["engine"]["fallbacks"] == steps
    assert [daemon.said(f"memory ran out: {step}") for step in steps] == [1, 1]
    *failed, last = daemon.ctl("show", job["id"])["executions"]
    assert [run["error"]["code"] for run in failed] == ["out_of_memory"] * 2
    signals = ["SIGKILL"] * 2 if model == "killed-big" else [None] * 2
    assert [run["signal"] for run in failed] == signals
    assert last["outcome"] == "completed"
    daemon.wait("good.wav", "completed")
    seen(", ".join(steps))


@pytest.mark.fault(5)
def test_out_of_memory_with_the_smallest_settings(program: Make) -> None:
    """memory does not suffice for the smallest settings either
    -> set aside as out_of_memory; the daemon stays up, others proceed"""
    daemon = counting(program(start=False, model="killed", block_seconds=5))
    daemon.drop(SPEECH, "bad.opus")
    daemon.drop(SENTENCE, "good.wav")
    job = daemon.wait("bad.opus", "failed")
    assert (job["error"]["code"], job["failures"]) == ("out_of_memory", 3)
    assert "memory" in job["error"]["detail"]
    daemon.wait("good.wav", "completed")


@pytest.mark.fault(6)
def test_alive_without_progress(program: Make) -> None:
    """a worker that is alive, makes no progress and is deaf to SIGTERM
    -> killed, tried again, set aside as worker_stalled; others proceed"""
    daemon = program(model="hang", stall_timeout="3s", block_seconds=5)
    daemon.drop(SPEECH, "bad.opus")
    daemon.drop(SENTENCE, "good.wav")
    job = daemon.wait("bad.opus", "failed")
    assert (job["error"]["code"], job["failures"]) == ("worker_stalled", 3)
    assert "no progress" in job["error"]["detail"]
    daemon.wait("good.wav", "completed")


@pytest.mark.fault(7)
def test_deaf_when_the_daemon_stops(program: Make, seen: Seen) -> None:
    """SIGTERM of the daemon while its worker is deaf to everything
    -> the worker is killed when its time is up, no failure counted"""
    daemon = program(model="hang", stop_timeout="0.5s", block_seconds=5)
    daemon.drop(SPEECH, "talk.opus")
    checkpointed(daemon, "talk.opus")
    assert daemon.stop() == 0
    daemon.start()
    job = daemon.job("talk.opus")
    assert job is not None
    first = daemon.ctl("show", job["id"])["executions"][0]
    assert (first["outcome"], job["failures"]) == ("released", 0)
    daemon.ctl("cancel", job["id"])
    daemon.ctl("wait", job["id"], status=1)
    seen("exit status 0")


@pytest.mark.fault(6)
def test_stopped(program: Make) -> None:
    """SIGSTOP of a worker
    -> killed for its silence, tried again from the checkpoint"""
    daemon = program(model="slow", block_seconds=5, heartbeat_timeout="2s")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    (worker,) = daemon.workers()
    worker.suspend()
    assert daemon.wait("long.opus", "completed")["failures"] == 1
    assert not worker.is_running()


@pytest.mark.fault(8)
def test_wakes_late(program: Make) -> None:
    """a stopped worker that wakes after its recording was replaced
    -> its result is fenced off: the new version is transcribed, and nothing else"""
    daemon = program(model="slow", block_seconds=5)
    daemon.drop(DIALOGUE, "talk.opus")
    checkpointed(daemon, "talk.opus")
    (worker,) = daemon.workers()
    worker.suspend()
    daemon.drop(SPEECH, "new")
    (daemon.inbox / "new").rename(daemon.inbox / "talk.opus")
    daemon.dropped[b"talk.opus"] = daemon.dropped.pop(b"new")
    wait_for(lambda: (daemon.job("talk.opus") or {})["state"] == "queued", "the new version")
    worker.resume()
    daemon.wait("talk.opus", "completed")
    assert daemon.said("its result is dropped") == 1
    size = SPEECH.stat().st_size
    assert daemon.transcript("talk.json")["source"]["size"] == size


@pytest.mark.fault(6)
def test_babbles(program: Make) -> None:
    """a worker whose libraries print megabytes on stdout and stderr, lines of the protocol too
    -> the protocol does not hear it, nothing blocks, no failure counted, the log stays small"""
    daemon = program(model="babble", block_seconds=5)
    daemon.drop(DIALOGUE, "long.opus")
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    assert daemon.said(f'job {job["id"]} main/long.opus: worker cpu: {{"type":"finished"') > 0
    wait_for(lambda: daemon.said("lines left out") > 0, "the number of the others")
    assert daemon.log.stat().st_size < MEGABYTE


@pytest.mark.fault(10)
def test_a_stop_in_mid_job(program: Make) -> None:
    """SIGTERM of the daemon in mid-job
    -> released, no failure counted, goes on from the checkpoint"""
    daemon = program(model="slow", block_seconds=5)
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    assert daemon.stop(signal.SIGTERM) == 0
    daemon.start()
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    runs = daemon.ctl("show", job["id"])["executions"]
    assert [run["outcome"] for run in runs] == ["released", "completed"]
