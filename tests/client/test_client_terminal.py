"""What people see on terminals of many sizes, of a real daemon."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from program import TALK, Program, wait_for
from terminal import terminal

from scriberrctl.render import width

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = "ゆっくり話す日本語の録音ファイルの名前はとても長い 👩‍👩‍👧 e\u0301 talk.opus"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A daemon with a job at work, one that waits, a completed and a failed one."""
    program = Program(tmp_path_factory.mktemp("b"), model="slow", calm="ok")
    program.start()
    try:
        program.drop(b"no sound", "bad.wav")
        program.wait("bad.wav", "failed")
        program.drop(TALK, LONG)
        program.wait(LONG, "completed")
        program.ask.pause(inbox="calm", reason="until the meeting is over " * 4)
        (program.root / "calm" / "waits.opus").write_bytes(TALK.read_bytes() + b"2")
        wait_for(lambda: program.job("waits.opus"), "a queued job")
        yield program
    finally:
        program.stop()


@pytest.mark.parametrize("size", [(30, 99), (60, 99), (80, 99), (0, 0)])
@pytest.mark.parametrize(
    "command",
    ["status", "list", "workers", "inbox", "stats", "show 1", "logs 1", "logs 2"],
)
def test_every_line_fits(busy: Program, command: str, size: tuple[int, int]) -> None:
    with terminal([*busy.client, *command.split()], *size) as shown:
        assert shown.end() == 0
        written = shown.written.decode().splitlines()
        assert len(shown.lines()) == len(written), shown.lines()  # none was wrapped
        assert max(map(width, written)) <= (size[0] or 80)


def test_events_are_told_to_people_and_fit(busy: Program) -> None:
    with terminal([*busy.client, "events", "--after", "0"], 60, 100) as shown:
        shown.until(lambda text: "calm  paused" in text)
        shown.process.send_signal(signal.SIGINT)
        assert shown.end() == 130
        assert max(map(width, shown.written.decode().splitlines())) <= 60


def test_a_list_says_how_old_jobs_are_and_why_they_wait(busy: Program) -> None:
    with terminal([*busy.client, "list"], 80) as shown:
        assert shown.end() == 0
        heading, newest, *_, oldest = shown.lines()
    assert heading.split() == ["ID", "STATE", "DONE", "AGE", "DURATION", "INBOX/PATH"]
    assert "queued: paused" in newest
    assert newest.endswith("calm/waits.opus")
    assert oldest.split()[3].rstrip("smh").isdecimal()
    with terminal([*busy.client, "list"], 60) as shown:
        assert shown.end() == 0
        assert shown.lines()[1].split()[1] == "paused"
    piped = subprocess.run([*busy.client, "list"], capture_output=True, text=True, check=True)
    assert f"main/{LONG}\n" in piped.stdout  # nothing is cut where there is no terminal


def test_the_status_says_what_is_wrong_and_what_mends_it(busy: Program) -> None:
    with terminal([*busy.client, "status"], 80, 40) as shown:
        assert shown.end() == 0
        text = "\n".join(shown.lines())
    assert " is running: 2 warnings (" in text.split("\n")[0]
    assert "\n  fix    scriberrctl resume --inbox calm\n" in text
    assert "\nqueue    1 queued (1 paused)\n" in text
    assert "\nworker   cpu on cpu with slow (1 core): idle\n" in text


@pytest.mark.parametrize(("args", "level"), [((), 1), (("--json",), 1)])
def test_a_monitor_gets_one_line_and_a_status(
    busy: Program, args: tuple[str, ...], level: int
) -> None:
    command = [*busy.client, "status", "--check", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (level, 1)
    if args:
        told = json.loads(done.stdout)
        assert [one["what"] for one in told["problems"]] == ["paused", "failed"]
    else:
        assert done.stdout.startswith("SCRIBERRD WARNING - paused inbox calm, since ")
        assert "; failed 1 job | queued=1 processing=0 " in done.stdout


def test_a_monitor_is_told_that_nobody_answers(tmp_path: Path, busy: Program) -> None:
    command = [busy.client[0], "--socket", tmp_path / "none", "status", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "SCRIBERRD UNKNOWN - can't connect\n")


def test_the_status_is_kept_up_to_date_in_place(busy: Program) -> None:
    with terminal([*busy.client, "status", "--watch"], 60, 8) as shown:
        shown.until(lambda text: "lines more" in text)
        assert len(shown.lines()) == 8
        assert shown.lines()[0].startswith("scriberrd ")
        shown.resize(70, 30)
        shown.until(lambda text: "inbox    calm: watching" in text)
        assert sum("inbox    calm" in line for line in shown.lines()) == 1
        busy.ask.pause(worker="cpu")
        shown.until(lambda text: "paused   worker cpu" in text)
        busy.ask.resume(worker="cpu")
        shown.until(lambda text: "paused   worker cpu" not in text)
        shown.process.send_signal(signal.SIGINT)
        assert shown.end() == 130
        assert shown.written.endswith(b"\x1b[?1049l")  # the terminal is as it was


def test_progress_stays_on_its_line(tmp_path: Path) -> None:
    program = Program(tmp_path, model="slow")
    program.start()
    try:
        program.drop(TALK, LONG)
        wait_for(lambda: program.job(LONG), "a job")
        with terminal([*program.client, "wait", "1"], 60) as shown:
            shown.until(lambda text: "[##" in text)
            assert len(shown.lines()) == 1
            shown.until(lambda text: "completed" in text)
            assert shown.end() == 0
            assert shown.lines()[0].startswith("job 1 completed: ")
        with terminal([*program.client, "show", "1"], 60) as shown:
            assert shown.end() == 0
            assert any("transcription " in line for line in shown.lines())
    finally:
        program.stop()
