"""Pauses, hours and preemption, in the real program."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, BIN, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = TALK


def test_a_pause_lasts_over_a_restart(program: Make) -> None:
    daemon = program()
    daemon.ctl("pause", "--reason", "maintenance")
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "queued")  # an inbox still takes files into the queue
    daemon.stop()
    daemon.start()
    (pause,) = daemon.ctl("status")["pauses"]
    assert (pause["inbox"], pause["worker"], pause["reason"]) == (None, None, "maintenance")
    submit = [BIN / "scriberrctl", "--socket", daemon.socket, "submit", daemon.inbox / "one.wav"]
    done = subprocess.run(submit, capture_output=True, text=True, check=True)
    assert "to resume: scriberrctl resume" in done.stderr
    assert daemon.wait("one.wav", "queued")["started_at"] is None
    assert daemon.ctl("resume") == {"pauses": []}
    daemon.wait("one.wav", "completed")


def test_running_jobs_finish_and_others_wait(program: Make) -> None:
    daemon = program(model="slow", block_seconds=5)
    for options in (("--worker", "cpu"), ("--inbox", "main")):
        daemon.drop(DIALOGUE.read_bytes() + options[0].encode(), f"{options[0]}.opus")
        daemon.underway(f"{options[0]}.opus", 5)
        daemon.ctl("pause", *options)
        daemon.drop(SENTENCE.read_bytes() + options[0].encode(), f"{options[0]}.wav")
        job = daemon.wait(f"{options[0]}.opus", "completed")
        (run,) = daemon.ctl("show", job["id"])["executions"]
        assert run["outcome"] == "completed"
        assert daemon.wait(f"{options[0]}.wav", "queued")["started_at"] is None
        daemon.ctl("resume", *options)
        daemon.wait(f"{options[0]}.wav", "completed")


def test_a_run_that_was_made_urgent_does_not_make_way(program: Make, tmp_path: Path) -> None:
    daemon = program(model="slow", block_seconds=5)
    daemon.drop(DIALOGUE, "long.opus")
    daemon.underway("long.opus", 5)
    copy = tmp_path / "copy.opus"
    copy.write_bytes(DIALOGUE.read_bytes())
    assert daemon.ctl("submit", "--priority", "urgent", copy)["path"] == "long.opus"
    daemon.ctl("submit", "--priority", "urgent", SENTENCE)
    daemon.wait("sentence.wav", "completed")
    job = daemon.job("long.opus")
    assert job is not None
    assert (job["state"], job["priority"]) == ("completed", "urgent")
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert run["outcome"] == "completed"


def test_an_urgent_job_takes_the_place_of_a_long_one(program: Make) -> None:
    daemon = program(model="slow", block_seconds=5)
    daemon.drop(DIALOGUE, "long.opus")
    daemon.underway("long.opus", 5)
    daemon.ctl("submit", "--priority", "urgent", SENTENCE)
    daemon.wait("sentence.wav", "completed")
    job = daemon.job("long.opus")
    assert job is not None
    assert job["state"] in {"queued", "processing"}
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    runs = daemon.ctl("show", job["id"])["executions"]
    assert [run["outcome"] for run in runs] == ["preempted", "completed"]
    # No block was done twice, and none is missing.
    done = sum(run["audio_seconds"] for run in runs)
    assert done == pytest.approx(job["progress"]["duration"])
    starts = [segment["start"] for segment in daemon.transcript("long.json")["segments"]]
    assert starts == sorted(set(starts))


def test_a_pool_that_can_not_work_is_no_place_for_an_urgent_job(program: Make) -> None:
    broken = '[[worker]]\nname = "gpu"\ndevice = "cuda"'
    daemon = program(model="slow+no-cuda", block_seconds=5, backoff="1h", retry=broken)
    daemon.drop(DIALOGUE, "long.opus")
    daemon.underway("long.opus", 5)
    daemon.drop(SENTENCE.read_bytes() + b"\0\0", "other.wav")
    assert daemon.outage()["name"] == "gpu"
    daemon.ctl("submit", "--priority", "urgent", SENTENCE)
    daemon.wait("sentence.wav", "completed")
    job = daemon.wait("long.opus", "completed")
    runs = daemon.ctl("show", job["id"])["executions"]
    assert "preempted" in [run["outcome"] for run in runs]


def test_an_urgent_job_waits_for_an_urgent_one_and_takes_a_free_worker(program: Make) -> None:
    daemon = program(model="slow", block_seconds=5, count=2)
    daemon.drop(AUDIO / "dialogue.opus", "low.opus")  # longer than it takes the others to begin
    daemon.underway("low.opus", 5)
    for name in ("one.opus", "two.opus"):
        (daemon.root / name).write_bytes(DIALOGUE.read_bytes() + name.encode())
        daemon.ctl("submit", "--priority", "urgent", daemon.root / name)
        wait_for(lambda: daemon.job(name)["progress"]["seconds"] >= 5, name)  # type: ignore[index]  # noqa: B023
    (daemon.root / "three.wav").write_bytes(SENTENCE.read_bytes())
    daemon.ctl("submit", "--priority", "urgent", daemon.root / "three.wav")
    for name in ("one.opus", "two.opus", "three.wav", "low.opus"):
        job = daemon.wait(name, "completed")
        runs = [run["outcome"] for run in daemon.ctl("show", job["id"])["executions"]]
        assert runs == (["preempted"] if name == "low.opus" else []) + ["completed"]


def test_outside_its_hours_a_pool_claims_nothing(program: Make) -> None:
    later = dt.datetime.now().astimezone() + dt.timedelta(hours=3)
    hours = f"{later:%H:%M}-{later + dt.timedelta(minutes=1):%H:%M}"
    daemon = program(hours=hours)
    daemon.ctl("submit", "--priority", "urgent", SENTENCE)
    assert daemon.wait("sentence.wav", "queued")["started_at"] is None
    (worker,) = daemon.ctl("status")["workers"]
    assert worker["reason"] == f"outside its hours ({hours})"
    daemon.stop()
    daemon.config.write_text(daemon.config.read_text().replace(hours, "00:00-12:00,12:00-24:00"))
    daemon.start()
    daemon.wait("sentence.wav", "completed")


def test_a_whole_pool_makes_way_for_an_urgent_job_that_runs_alone(program: Make) -> None:
    daemon = program(model="slow", block_seconds=5, count=2)
    daemon.ctl("pause", "--worker", "cpu")
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "queued")
    with contextlib.closing(sqlite3.connect(daemon.root / "state/scriberrd.db", timeout=30)) as db:
        db.execute("UPDATE job SET deaths = 2")
        db.commit()
    for name in ("long.opus", "longer.opus"):
        daemon.drop(DIALOGUE.read_bytes() + name.encode(), name)
        daemon.wait(name, "queued")
        daemon.ctl("submit", "--priority", "high", daemon.inbox / name)
    daemon.ctl("resume")
    for name in ("long.opus", "longer.opus"):
        daemon.underway(name, 5)
    daemon.ctl("submit", "--priority", "urgent", daemon.inbox / "one.wav")
    daemon.wait("one.wav", "completed")
    for name in ("long.opus", "longer.opus"):
        job = daemon.wait(name, "completed")
        runs = daemon.ctl("show", job["id"])["executions"]
        assert [run["outcome"] for run in runs] == ["preempted", "completed"]
