"""The daemon dies, at any moment of the path of a recording."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for
from promises import checkpointed, recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]
    Seen = Callable[[object], None]

SABOTEUR = (sys.executable, Path(__file__).parent / "saboteur.py")
SPEECH = AUDIO / "speech.opus"  # 10 s: several blocks of 5 s
COMMITS = [
    *("submit:1", "claim:1", "probed:1", "loaded:1", "checkpoint:1", "checkpoint:2"),
    *("transcribed:1", "reserve:1", "begin:1", "finish:1"),
]
FILES = [  # four are staged; then they get their names, the JSON last
    *(
        "after:output.staging.stage:1",
        "after:output.staging.survey:1",
        "after:output.staging._link:1",
    ),
    *(
        "before:output.staging._link:4",
        "after:output.staging._link:4",
        "after:output.staging.place:1",
    ),
]
# In each run of the tests; all the others with `make drill`.
QUICK = {"before:claim:1", "after:checkpoint:2", "after:output.staging.place:1"}


def moments(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in names]


def crash(program: Program, moment: str) -> None:
    """Start the program, and see it kill itself."""
    program.launch(*SABOTEUR, SABOTAGE_CRASH=moment)
    assert program.wait_dead() == -signal.SIGKILL, program.log.read_text()


def sabotaged(program: Make, moment: str) -> Program:
    """A program that has died with a recording in its inbox, and lives again."""
    daemon = program(start=False, block_seconds=5)
    daemon.drop(SPEECH, "talk.opus")
    crash(daemon, moment)
    daemon.start()
    job = daemon.wait("talk.opus", "completed")
    assert job["failures"] == 0
    return daemon


@pytest.mark.fault(1)
@pytest.mark.parametrize(
    "moment", moments([f"{when}:{name}" for name in COMMITS for when in ("before", "after")])
)
def test_at_a_commit(program: Make, moment: str) -> None:
    """kill -9 of the daemon before or after a commit on the path of a recording
    -> goes on by itself, nothing lost, no block done twice"""
    sabotaged(program, moment)


@pytest.mark.fault(2)
@pytest.mark.parametrize("moment", moments(FILES))
def test_between_files_and_commit(program: Make, moment: str, seen: Seen) -> None:
    """kill -9 of the daemon while it publishes, and between publishing and the commit
    -> what is in place is adopted, not duplicated; nothing partial is left"""
    daemon = sabotaged(program, moment)
    runs = daemon.ctl("show", 1)["executions"]
    assert [run["outcome"] for run in runs] == ["lost", "completed"]
    assert daemon.workers() == []  # the second run had nothing to transcribe
    seen("not transcribed again")


@pytest.mark.fault(1)
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before:recover:1", "after:recover:1"])
def test_while_recovering(program: Make, moment: str) -> None:
    """kill -9 of the daemon while it takes back what an earlier one held
    -> the next one does"""
    daemon = program(start=False, block_seconds=5)
    daemon.drop(SPEECH, "talk.opus")
    crash(daemon, "after:checkpoint:1")
    crash(daemon, moment)
    daemon.start()
    assert daemon.wait("talk.opus", "completed")["failures"] == 0


@pytest.mark.fault(1)
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before:fail:1", "after:fail:1"])
def test_while_writing_down_a_failure(program: Make, moment: str) -> None:
    """kill -9 of the daemon at the commit of a failure
    -> it is counted once, or not yet"""
    daemon = program(start=False, block_seconds=5, model="crash-once")
    daemon.drop(SPEECH, "talk.opus")
    crash(daemon, moment)
    daemon.start()
    job = daemon.wait("talk.opus", "completed")
    assert job["failures"] == (moment == "after:fail:1")


@pytest.mark.fault(1, 10)
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before:release:1", "after:release:1"])
def test_while_stopping(program: Make, moment: str) -> None:
    """kill -9 of the daemon while it puts a job back because of SIGTERM
    -> no failure counted, goes on from the checkpoint"""
    daemon = program(start=False, block_seconds=5, model="slow")
    daemon.drop(TALK, "talk.opus")
    daemon.start(*SABOTEUR, SABOTAGE_CRASH=moment)
    checkpointed(daemon, "talk.opus")
    assert daemon.stop() == -signal.SIGKILL
    daemon.start()
    assert daemon.wait("talk.opus", "completed")["failures"] == 0


@pytest.mark.fault(9)
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("script", ["slow", "hang-first"])
def test_workers_die_with_it(program: Make, script: str, stopped: bool) -> None:
    """kill -9 of the daemon while a worker works, is deaf to SIGTERM, or is stopped
    -> the worker dies too, no orphans"""
    daemon = program(block_seconds=5, model=script)
    daemon.drop(SPEECH, "talk.opus")
    (worker,) = wait_for(daemon.workers, "a worker")
    wait_for(lambda: daemon.ctl("status")["processing"][0]["stage"] == "transcribing", "work")
    if stopped:
        worker.suspend()
    daemon.stop(signal.SIGKILL)  # waits until nothing of it is left
    job = recorded(daemon, b"talk.opus")
    assert (job.state, job.failures) == ("processing", 0)
    daemon.start()
    if script == "slow":
        assert daemon.wait("talk.opus", "completed")["failures"] == 0
    else:  # it would hang again
        daemon.ctl("cancel", job.id)
        daemon.ctl("wait", job.id, status=1)


@pytest.mark.fault(1)
@pytest.mark.parametrize(
    ("moment", "outcome"),
    [
        pytest.param("before:release:1", "lost", marks=pytest.mark.slow),
        ("after:release:1", "preempted"),
        pytest.param("after:claim:2", "preempted", marks=pytest.mark.slow),
        pytest.param("after:finish:1", "preempted", marks=pytest.mark.slow),
    ],
)
def test_while_an_urgent_one_takes_its_place(program: Make, moment: str, outcome: str) -> None:
    """kill -9 of the daemon while an urgent recording takes the place of a long one
    -> both are completed, no failure counted, no block done twice"""
    daemon = program(start=False, block_seconds=5, model="slow")
    daemon.drop(TALK, "long.opus")
    daemon.start(*SABOTEUR, SABOTAGE_CRASH=moment)
    checkpointed(daemon, "long.opus")
    sentence = AUDIO / "sentence.wav"
    daemon.dropped[b"sentence.wav"] = sentence.read_bytes()
    # It may die before it has answered.
    subprocess.run([*daemon.client, "submit", "--priority", "urgent", sentence], check=False)
    assert daemon.wait_dead() == -signal.SIGKILL
    daemon.start()
    for name in ("long.opus", "sentence.wav"):
        assert daemon.wait(name, "completed")["failures"] == 0
    job = daemon.wait("long.opus", "completed")
    assert daemon.ctl("show", job["id"])["executions"][0]["outcome"] == outcome
