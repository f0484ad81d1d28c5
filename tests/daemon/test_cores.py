"""Cores and loaded models among recordings, in the real program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from program import AUDIO, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
CORES = len(os.sched_getaffinity(0))


def shares(daemon: Program) -> list[int]:
    """How many cores each run uses, the most first."""
    found = [worker["share"] for worker in daemon.ctl("status")["workers"]]
    return sorted((share for share in found if share is not None), reverse=True)


def queue(daemon: Program, *names: str, to: str = "inbox") -> None:
    """Have these recordings queued, in this order."""
    for name in names:
        (daemon.root / to / name).write_bytes(SENTENCE.read_bytes() + name.encode())
        daemon.wait(name, "queued")


def order(daemon: Program) -> list[Any]:
    """The inboxes of all jobs as they were begun, when all are completed."""
    wait_for(lambda: all(job["state"] == "completed" for job in daemon.jobs()), "the end of all")
    return [job["inbox"] for job in sorted(daemon.jobs(), key=lambda job: job["started_at"])]


def test_one_recording_has_all_cores_and_two_share_them(program: Make) -> None:
    daemon = program(model="slow+share", calm="slow", count=2, threads='"auto"', block_seconds=5)
    workers = daemon.ctl("status")["workers"]
    assert [(one["threads"], one["share"]) for one in workers] == [(CORES, None)] * 2
    cores = "1 core" if CORES == 1 else f"{CORES} cores"
    assert daemon.said(
        f"worker pool cpu on auto: recordings: up to 2 at once, each on up to {cores}\n"
    )
    daemon.drop(AUDIO / "dialogue.opus", "long.opus")
    daemon.underway("long.opus", 5)
    assert shares(daemon) == [CORES]
    assert len(daemon.workers()) == 1
    (daemon.root / "calm/other.opus").write_bytes(TALK.read_bytes())
    wait_for(lambda: len(shares(daemon)) == 2, "both at work")
    half = max(1, CORES // 2)
    assert shares(daemon) == [max(1, CORES - half), half]
    daemon.wait("other.opus", "completed")
    assert shares(daemon) == [CORES]
    daemon.wait("long.opus", "completed")
    said = [segment["text"] for segment in daemon.transcript("long.json")["segments"]]
    assert (said[0], said[-1]) == (f"share{CORES}.", f"share{CORES}.")
    assert set(said) == {f"share{CORES}.", f"share{max(1, CORES - half)}."}


def test_what_is_left_to_the_machine_stays_as_it_is_chosen(program: Make) -> None:
    daemon = program(model="slow", count='"auto"', threads='"auto"', block_seconds=5)
    daemon.drop(TALK, "long.opus")
    daemon.underway("long.opus", 5)
    before = daemon.ctl("status")["workers"]
    assert 1 <= len(before) <= CORES
    again = "reloaded the configuration"
    assert daemon.daemon is not None
    daemon.daemon.send_signal(1)
    wait_for(lambda: daemon.said(again), again)
    (run,) = daemon.ctl("show", daemon.wait("long.opus", "completed")["id"])["executions"]
    assert run["outcome"] == "completed"
    assert daemon.said("worker pool cpu on ") == 1


def test_two_inboxes_with_two_models_do_not_load_one_for_each_recording(program: Make) -> None:
    daemon = program(model="ok", calm="suspect")
    assert daemon.said("each on up to 1 core\n")
    daemon.ctl("pause")
    for number in range(4):
        queue(daemon, f"a{number}.wav")
        queue(daemon, f"b{number}.wav", to="calm")
    daemon.ctl("resume")
    assert order(daemon) == ["main"] * 4 + ["calm"] * 4


def test_a_loaded_model_is_preferred_for_a_while_only(program: Make) -> None:
    daemon = program(model="ok", calm="suspect")
    daemon.ctl("pause")
    queue(daemon, "a.wav")
    queue(daemon, "b.wav", to="calm")
    queue(daemon, *(f"a{number}.wav" for number in range(18)))
    daemon.ctl("resume")
    assert order(daemon) == ["main"] * 16 + ["calm"] + ["main"] * 3


def test_a_recording_goes_to_the_idle_worker_that_has_its_model(program: Make) -> None:
    daemon = program(model="ok", calm="suspect", count=3)
    for number in range(4):
        daemon.ctl("pause")
        queue(daemon, f"a{number}.wav")
        queue(daemon, f"b{number}.wav", to="calm")
        daemon.ctl("resume")
        order(daemon)
    workers: dict[str, set[str]] = {"main": set(), "calm": set()}
    for job in daemon.jobs():
        (run,) = daemon.ctl("show", job["id"])["executions"]
        workers[job["inbox"]].add(run["worker"])
    assert [len(names) for names in workers.values()] == [1, 1]
    assert len(daemon.workers()) == 2
