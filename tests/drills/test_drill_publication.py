"""Publication is held up, or what was mounted on the output folder is not."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, Program, wait_for
from promises import paused

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]
    Mount = Callable[..., None]

SABOTEUR = (sys.executable, Path(__file__).parent / "saboteur.py")
SENTENCE = AUDIO / "sentence.wav"


@pytest.mark.fault(41)
def test_a_run_is_held_up_in_publication(program: Make) -> None:
    """a run is held up in publication while the recording is replaced, and its new version waits
    -> the newer transcript stays"""
    daemon = program(start=False, count=2)
    gate = daemon.root / "gate"
    gate.touch()
    daemon.start(*SABOTEUR, SABOTAGE_HOLD=f"output.staging.place:{gate}")
    daemon.drop(AUDIO / "speech.m4a", "talk.wav")
    first = wait_for(lambda: daemon.job("talk.wav"), "the job")
    wait_for((daemon.root / "gate.held").exists, "its publication")
    daemon.drop(SENTENCE, "talk.wav")
    wait_for(lambda: daemon.said("job 1 main/talk.wav: started on") == 2, "the other worker")
    wait_for(lambda: (daemon.job("talk.wav") or {})["stage"] == "saving", "the newer one")
    gate.unlink()
    assert daemon.wait("talk.wav", "completed")["id"] == first["id"]
    wait_for(lambda: daemon.said("its result is dropped"), "the stale run")
    assert daemon.transcript("talk.json")["source"]["size"] == SENTENCE.stat().st_size


@pytest.mark.fault(41)
def test_a_run_outlives_its_lease_in_publication(program: Make) -> None:
    """a run is held up in publication for longer than its lease
    -> its output is out, and the recording is not begun again; ends well, in one run"""
    daemon = program(start=False, stall_timeout="5s")
    gate = daemon.root / "gate"
    gate.touch()
    daemon.start(*SABOTEUR, SABOTAGE_HOLD=f"output.staging.place:{gate}")
    daemon.drop(SENTENCE, "one.wav")
    wait_for(lambda: daemon.said("outage: output"), "the end of the lease")
    outage = daemon.outage()
    assert (outage["part"], outage["name"], outage["next_try"]) == ("output", "main", None)
    job = daemon.wait("one.wav", "processing")
    runs = len(daemon.ctl("show", job["id"])["executions"])
    assert job["stage"] == "saving"
    assert dt.datetime.fromisoformat(job["lease_expires_at"]) < dt.datetime.now(dt.UTC)
    daemon.drop(SENTENCE.read_bytes() + b"2", "two.wav")
    (daemon.root / "calm/other.wav").write_bytes(SENTENCE.read_bytes())
    daemon.wait("two.wav", "queued")
    assert daemon.outage() == outage
    gate.unlink()
    for name in ("one.wav", "two.wav", "other.wav"):
        assert daemon.wait(name, "completed")["failures"] == 0
    assert len(daemon.ctl("show", job["id"])["executions"]) == runs
    assert (daemon.said("outage: output"), daemon.said("outage over: output")) == (1, 1)


@pytest.mark.fault(48)
def test_what_was_mounted_on_the_output_folder_is_not(program: Make, mount: Mount) -> None:
    """what was mounted on the output folder is not
    -> waits with an outage, writes nothing below it; goes on once it is mounted"""
    daemon = program(start=False)
    mount(daemon.out, "-t", "tmpfs", "tmpfs")
    daemon.start()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    image = daemon.root / "elsewhere"
    image.mkdir()
    subprocess.run(["mount", "--move", daemon.out, image], check=True)
    try:
        daemon.drop(SENTENCE.read_bytes() + b"2", "two.wav")
        assert paused(daemon) == ("output", "output_unwritable")
        assert list(daemon.out.iterdir()) == []
    finally:
        subprocess.run(["mount", "--move", image, daemon.out], check=True)
    daemon.wait("two.wav", "completed")
