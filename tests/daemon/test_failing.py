"""Failing in the real program: what is counted, and what is tried with less."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = TALK


def query(daemon: Program, sql: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(daemon.root / "state/scriberrd.db", timeout=30)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def runs(daemon: Program, id_: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.ctl("show", id_)["executions"]
    return found


def calm(daemon: Program, source: Any, name: str) -> None:
    """Drop a recording into the other inbox, which has a profile of its own."""
    (daemon.root / "calm" / name).write_bytes(source.read_bytes())


@pytest.mark.parametrize(
    ("script", "code", "status", "signal"),
    [
        ("exit", "worker_crashed", 3, None),
        ("crash", "worker_crashed", None, "SIGSEGV"),
        ("crash-load", "worker_crashed", None, "SIGSEGV"),
    ],
)
def test_what_a_worker_died_of_is_kept(
    program: Make, script: str, code: str, status: int | None, signal: str | None
) -> None:
    daemon = program(model=script)
    daemon.drop(DIALOGUE, "bad.opus")
    job = daemon.wait("bad.opus", "failed")
    assert (job["error"]["code"], job["failures"]) == (code, 3)
    found = runs(daemon, job["id"])
    assert [(run["exit_status"], run["signal"]) for run in found] == [(status, signal)] * 3
    if script == "exit":
        rows = query(daemon, "SELECT stderr FROM execution ORDER BY lease")
        assert rows == [("my last words: /secret/place",)] * 3
        assert daemon.log.read_text().count("/secret/place") == 3
        assert "/secret" not in json.dumps(found)


def test_a_failure_that_only_the_engine_knows_is_an_error_inside(program: Make) -> None:
    daemon = program(model="odd")
    daemon.drop(DIALOGUE, "bad.opus")
    job = daemon.wait("bad.opus", "failed")
    assert (job["error"]["code"], job["failures"]) == ("internal_error", 3)
    assert job["error"]["detail"] == "unknown failure bad_hair_day: the script says so"


def test_a_worker_that_dies_while_it_is_idle_costs_nothing(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    (worker,) = daemon.workers()
    worker.kill()
    worker.wait()
    daemon.drop(SENTENCE.read_bytes() + b"2", "two.wav")
    assert daemon.wait("two.wav", "completed")["failures"] == 0


def test_after_two_deaths_a_recording_runs_alone(program: Make) -> None:
    daemon = program(model="crash", calm="slow", count=2, retry="attempts = 4")
    for number in range(4):
        calm(daemon, DIALOGUE, f"{number}.opus")
        with (daemon.root / f"calm/{number}.opus").open("ab") as file:
            file.write(b"%d" % number)  # not a copy, whose transcript would serve
    daemon.drop(DIALOGUE, "bad.opus")
    job = daemon.wait("bad.opus", "failed")
    wait_for(lambda: daemon.ctl("status")["jobs"]["completed"] == 4, "the others")
    bad = query(
        daemon, f"SELECT started_at, finished_at FROM execution WHERE job = {job['id']} ORDER BY 1"
    )
    others = query(
        daemon, f"SELECT started_at, finished_at FROM execution WHERE job <> {job['id']}"
    )
    assert (len(bad), len(others)) == (4, 4)
    for start, end in bad[2:]:
        assert all(finish <= start or begin >= end for begin, finish in others)
    assert any(finish > bad[0][0] and begin < bad[0][1] for begin, finish in others)
    assert daemon.log.read_text().count("runs alone") == 2


def test_a_recording_that_takes_the_machine_down_is_set_aside(program: Make) -> None:
    daemon = program(model="hang-first", retry="interruptions = 2")
    daemon.drop(DIALOGUE, "bad.opus")
    for expected in (1, 2):
        wait_for(lambda: (daemon.job("bad.opus") or {}).get("stage") == "transcribing", "work")
        daemon.stop(9)
        daemon.start()
        job = daemon.job("bad.opus")
        assert job is not None
        assert job["interruptions"] == expected
    assert (job["state"], job["error"]["code"]) == ("failed", "interrupted_too_often")
    assert job["failures"] == 0
    daemon.ctl("retry", job["id"])
    wait_for(lambda: (daemon.job("bad.opus") or {}).get("stage") == "transcribing", "work")
    assert (daemon.job("bad.opus") or {})["interruptions"] == 0
    daemon.stop(9)  # a regular stop waits for the worker


def test_a_regular_stop_and_a_checkpoint_are_no_interruptions(program: Make) -> None:
    daemon = program(model="slow", block_seconds=5, retry="interruptions = 1")
    daemon.drop(DIALOGUE, "long.opus")
    for number in (15, 9):
        done = (daemon.job("long.opus") or {}).get("progress", {}).get("seconds", 0)

        def further(done: float = done) -> bool:
            seconds = (daemon.job("long.opus") or {}).get("progress", {}).get("seconds", 0)
            return bool(seconds >= done + 10)

        wait_for(further, "a checkpoint")
        daemon.stop(number)
        daemon.start()
    assert daemon.wait("long.opus", "completed")["interruptions"] == 0


def test_a_run_that_takes_too_long_is_warned_of_and_then_stopped(program: Make) -> None:
    limits = 'soft_limit = 0.004\nhard_limit = 0.025\nlimit_floor = "0.1s"'
    daemon = program(model="slow", block_seconds=5, retry=limits)
    daemon.drop(AUDIO / "dialogue.opus", "long.opus")
    job = daemon.wait("long.opus", "failed")
    assert (job["error"]["code"], job["failures"]) == ("time_limit", 3)
    assert len(query(daemon, "SELECT 1 FROM event WHERE type = 'slow'")) == 3
    assert daemon.log.read_text().count("is slow") == 3
    assert 0 < job["progress"]["fraction"] < 1
    daemon.drop(SENTENCE, "short.wav")
    daemon.wait("short.wav", "completed", "failed")


def test_memory_that_runs_out_makes_the_next_run_smaller(program: Make) -> None:
    daemon = program(model="oom-big", profile="batch_size = 8")
    daemon.drop(DIALOGUE, "long.opus")
    job = daemon.wait("long.opus", "completed")
    steps = ["batch_size 8 -> 4", "batch_size 4 -> 2"]
    assert daemon.transcript("long.json")["engine"]["fallbacks"] == job["fallbacks"] == steps
    blocks = query(daemon, "SELECT count(*) FROM event WHERE data LIKE '%\"block\":0,%'")
    assert blocks == [(1,)]  # what was done is kept
    ((settings,),) = query(daemon, "SELECT settings FROM job")
    assert json.loads(settings)["batch_size"] == 8
    assert "memory ran out: batch_size 8 -> 4" in daemon.log.read_text()


def test_the_ladder_goes_down_to_another_model(program: Make) -> None:
    daemon = program(
        model="oom",
        profile='batch_size = 3\nfallback_model = "ok"',
        worker='compute_type = "float32"',
    )
    daemon.drop(DIALOGUE, "long.opus")
    job = daemon.wait("long.opus", "completed")
    assert job["fallbacks"] == [
        "batch_size 3 -> 1",
        "compute_type float32 -> int8",
        "model oom -> ok",
    ]
    engine = daemon.transcript("long.json")["engine"]
    assert (engine["model"], engine["compute_type"]) == ("ok", "int8")
    assert engine["fallbacks"] == job["fallbacks"]


def test_at_the_foot_of_the_ladder_the_budget_counts(program: Make) -> None:
    daemon = program(model="oom", profile="batch_size = 4")
    daemon.drop(DIALOGUE, "long.opus")
    job = daemon.wait("long.opus", "failed")
    assert (job["error"]["code"], job["failures"]) == ("out_of_memory", 3)
    assert job["fallbacks"] == ["batch_size 4 -> 2", "batch_size 2 -> 1"]
    daemon.ctl("retry", job["id"])
    wait_for(lambda: len(runs(daemon, job["id"])) > 3, "the next run")
