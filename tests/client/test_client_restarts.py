"""Those who wait and follow outlive their daemon."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from program import TALK, Program
from terminal import terminal

from scriberrctl.client import Client
from scriberrctl.following import Following

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOST, BACK = "lost the daemon; waiting for it\n", "the daemon is back\n"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    running = Program(tmp_path, model="slow")
    running.start()
    try:
        yield running
    finally:
        if not running.dead():
            running.stop()


def started(program: Program, *args: object) -> subprocess.Popen[str]:
    command = [*program.client, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str], text: str) -> str:
    """The next line of stderr with this."""
    assert process.stderr is not None
    while text not in (told := process.stderr.readline()):
        assert told, "it ended"
    return told


def test_who_waits_goes_on_after_a_restart(program: Program) -> None:
    program.drop(TALK, "a.opus")
    program.underway("a.opus", 10)
    waiting = started(program, "wait", 1)
    line(waiting, "[#")
    program.stop(signal.SIGKILL)
    assert line(waiting, "lost") == LOST
    program.start()
    out, err = waiting.communicate(timeout=120)
    assert (waiting.returncode, out) == (0, "job 1 completed: a.opus\n")
    assert (err.count(LOST), err.count(BACK)) == (0, 1)
    assert "kept)" in err  # what the first daemon had done


@pytest.mark.parametrize("verb", ["wait", "follow"])
def test_the_number_of_another_job_after_the_database_was_replaced(
    program: Program, verb: str
) -> None:
    program.drop(TALK, "a.opus")
    program.underway("a.opus", 10)
    waiting = started(program, verb, 1)
    if verb == "wait":
        line(waiting, "[#")
    else:
        assert waiting.stdout is not None
        assert waiting.stdout.readline()
    program.stop(signal.SIGKILL)
    line(waiting, "lost")
    waiting.send_signal(signal.SIGSTOP)  # until there is a job of that number again
    shutil.rmtree(program.root / "state")
    (program.inbox / "a.opus").rename(program.inbox / "b.opus")
    program.start()
    program.wait("b.opus", "processing", "completed")
    waiting.send_signal(signal.SIGCONT)
    out, err = waiting.communicate(timeout=120)
    assert (waiting.returncode, "b.opus" in out) == (4, False)
    assert "scriberrctl: job 1 is another one now: the daemon has another database\n" in err


def test_a_wait_ends_in_time_without_a_daemon(program: Program) -> None:
    program.ask.pause()
    program.drop(TALK, "a.opus")
    program.wait("a.opus", "queued")
    waiting = started(program, "wait", 1, "--timeout", 5)
    line(waiting, "is waiting")
    program.stop()
    out, err = waiting.communicate(timeout=120)
    assert (waiting.returncode, out) == (124, "")
    assert err == f"{LOST}scriberrctl: timed out; the jobs continue\n"


def test_an_unknown_job_keeps_nobody_from_waiting_for_the_others(program: Program) -> None:
    program.drop(TALK, "a.opus")
    program.wait("a.opus", "queued", "processing")
    waiting = started(program, "wait", 7, 1)
    out, err = waiting.communicate(timeout=120)
    assert (waiting.returncode, out) == (4, "job 1 completed: a.opus\n")
    assert "scriberrctl: there is no job 7\n" in err


def test_no_event_is_missed_over_a_restart(program: Program) -> None:
    following = started(program, "events", "--after", "0", "--json")
    assert following.stdout is not None
    program.ask.pause()
    program.ask.resume()
    first = json.loads(following.stdout.readline())
    program.stop(signal.SIGKILL)
    line(following, "lost")
    program.drop(TALK, "a.opus")
    program.start()
    told = [first]
    while told[-1]["type"] != "finished":
        told.append(json.loads(following.stdout.readline()))
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=120)
    assert following.returncode == 130
    ids = [event["id"] for event in told]
    assert ids == list(range(ids[0], ids[-1] + 1))


def test_a_restart_is_told_once(program: Program) -> None:
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        if message == LOST.strip():
            program.start()

    client = Client(str(program.socket))
    following = Following(client, tell=tell)
    with contextlib.closing(following.events()) as events:
        assert next(events) is None
        program.stop()
        assert following.ask(client.status)["state"] == "running"
        assert next(events) is None
        assert told == [LOST.strip(), BACK.strip()]


def test_the_watched_status_outlives_a_restart(program: Program) -> None:
    with terminal([*program.client, "status", "--watch"]) as shown:
        shown.until(lambda text: " is running: all is well" in text)
        program.stop()
        shown.until(lambda text: text.endswith(LOST.strip()))
        program.start()
        shown.until(lambda text: LOST.strip() not in text and "is running: all is well" in text)
        shown.process.send_signal(signal.SIGTERM)
        assert shown.end() == 143


def test_text_is_followed_while_it_is_made(program: Program) -> None:
    program.drop(TALK, "a.opus")
    program.wait("a.opus", "queued", "processing")
    following = started(program, "follow", 1)
    assert following.stdout is not None
    first = following.stdout.readline()
    assert program.job("a.opus")["state"] == "processing"
    program.stop(signal.SIGKILL)
    program.start()
    out = first + following.stdout.read()  # what it has read ahead, `communicate` would forget
    err = following.communicate(timeout=120)[1]
    assert following.returncode == 0
    assert err.endswith("job 1 completed: a.opus\n")
    segments = program.transcript("a.json")["segments"]
    assert out.splitlines() == [segment["text"].strip() for segment in segments]
    again = subprocess.run(
        [*program.client, "follow", "1", "--json"], capture_output=True, text=True, check=True
    )
    *told, job = map(json.loads, again.stdout.splitlines())
    assert told == [{"job": 1, **segment} for segment in segments]
    assert job["state"] == "completed"


def test_the_story_of_a_job_goes_on_after_a_restart(program: Program) -> None:
    program.drop(TALK, "a.opus")
    program.underway("a.opus", 10)
    following = started(program, "logs", 1, "--follow")
    assert following.stdout is not None
    assert following.stdout.readline().endswith("  queued\n")
    program.stop(signal.SIGKILL)
    assert line(following, "lost") == LOST
    program.start()
    out, err = following.communicate(timeout=120)
    assert (following.returncode, err) == (0, BACK)
    lines = out.splitlines()
    assert "started on worker cpu: run 2" in out
    assert "back in the queue: the daemon ended while it was processing" in out
    assert "completed in" in lines[-1]
    (factor,) = re.findall(r"real-time factor [0-9.]+", lines[-1])
    assert program.said(factor)  # so says the log: of this run alone, too
    assert len(set(lines)) == len(lines)  # nothing is told again
