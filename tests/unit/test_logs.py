"""What the log looks like, and what it must not let through."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import logging
import os
import pty
import re
import socket
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from journald import fields

from scriberrd import logs
from scriberrd.files.folders import start
from scriberrd.logs import journal
from scriberrd.logs.context import subject
from scriberrd.logs.events import Event
from scriberrd.logs.handler import BURST, PERIOD, Handler
from scriberrd.logs.journal import FIELDS, Journal
from scriberrd.logs.lines import LONGEST, Formatter

if TYPE_CHECKING:
    from collections.abc import Iterator


def record(message: str, *values: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("scriberrd", level, "x.py", 1, message, values, None)


def test_the_journal_gets_priorities() -> None:
    assert Formatter("journal").format(record("job %d done", 1)) == "<6>job 1 done"
    assert Formatter("journal").format(record("no", level=logging.ERROR)) == "<3>no"


def test_a_file_gets_time_and_level() -> None:
    assert Formatter("plain").format(record("ready")).endswith(" INFO ready")


def test_a_terminal_gets_colours() -> None:
    line = Formatter("terminal").format(record("oh", level=logging.WARNING))
    assert line.endswith(" \033[33mWARNING oh\033[0m")


def test_a_program_gets_objects() -> None:
    made = failed("it failed", 1)
    made.event = Event.JOB_FAILED
    with logs.about(job=4, inbox="talks", path="a\n.wav", stage="saving"):
        told = json.loads(Formatter("json").format(made))
    assert told.pop("time").endswith("Z")
    assert told.pop("traceback").startswith("Traceback")
    assert told == {
        "level": "error",
        "message": "it failed",
        "job": 4,
        "inbox": "talks",
        "path": "a\n.wav",
        "stage": "saving",
        "event": "job_failed",
        "message_id": Event.JOB_FAILED.value,
    }


def test_a_line_says_what_it_is_about() -> None:
    formatter = Formatter("journal")
    with logs.about(inbox="talks"):
        assert formatter.format(record("seen")) == "<6>inbox talks: seen"
        with logs.about(job=4, path="a/b.wav"):
            assert formatter.format(record("done")) == "<6>job 4 talks/a/b.wav: done"
        with logs.about(job=4):
            assert formatter.format(record("done")) == "<6>job 4 talks: done"
        with logs.about(by="anna"):
            assert formatter.format(record("paused")) == "<6>inbox talks: paused (by anna)"
    assert formatter.format(record("done")) == "<6>done"


async def test_tasks_and_threads_know_what_they_are_about() -> None:
    def made() -> logging.LogRecord:
        one = record("x")
        subject(one)
        return one

    async def later() -> logging.LogRecord:
        await began.wait()
        return made()

    began = asyncio.Event()
    with logs.about(job=4, stage="preparing"):
        task, thread = asyncio.create_task(later()), start(made)
        logs.note(stage="saving")
    began.set()
    assert subject(await task) == {"job": 4, "stage": "saving"}
    assert subject(await thread)["job"] == 4
    logs.note(stage="nothing is known of it here")
    assert subject(record("x")) == {}


def test_a_name_can_neither_forge_a_line_nor_steer_a_terminal() -> None:
    text = Formatter("journal").format(record("job done: %s", "a\n<2>forged\x1b[2J\x9b"))
    assert text == "<6>job done: a\\n<2>forged\\x1b[2J\\x9b"
    with logs.about(job=1, inbox="a", path="b\n<2>\x1b"):
        assert Formatter("journal").format(record("done")) == "<6>job 1 a/b\\n<2>\\x1b: done"


def test_each_line_of_a_traceback_has_its_priority() -> None:
    lines = Formatter("journal").format(failed("it failed")).splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)


def failed(message: str, depth: int = 0, name: str = "scriberrd") -> logging.LogRecord:
    def fail(more: int) -> None:
        if more:
            fail(more - 1)
        raise ValueError("it's no\x1b number")

    made = record(message, level=logging.ERROR)
    made.name = name
    try:
        fail(depth)
    except ValueError as error:
        made.exc_info = (type(error), error, error.__traceback__)
    return made


def test_a_line_has_an_end() -> None:
    text = Formatter("journal").format(record("watched: %s", "x" * 1_000_000))
    assert len(text) < LONGEST + 100
    assert text.endswith("xxx... (998009 more characters)")


def test_a_long_traceback_keeps_its_beginning_and_its_end() -> None:
    made = failed("it failed", depth=2)
    made.exc_text = "\n".join(["Traceback", *map(str, range(200)), "ValueError: " + "x" * 5000])
    lines = Formatter("journal").format(made).splitlines()
    assert lines[:2] == ["<3>it failed", "<3>Traceback"]
    assert "<3>  ... (142 more lines)" in lines
    assert lines[-1].startswith("<3>ValueError: xxx")
    assert max(map(len, lines)) < LONGEST + 100


def test_a_traceback_does_not_steer_a_terminal() -> None:
    assert Formatter("plain").format(failed("no")).endswith("ValueError: it's no\\x1b number")


class Log:
    """What a handler writes, at times that are given."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.now, self.written = 0.0, io.StringIO()
        self.handler = Handler(self.written, "journal", journal=journal, monotonic=lambda: self.now)

    def lines(self) -> list[str]:
        """What came since the last call."""
        text = self.written.getvalue()
        self.written.seek(0)
        self.written.truncate()
        return text.splitlines()


def test_what_is_repeated_is_counted() -> None:
    log = Log()
    for number in range(100):
        log.handler.handle(record("disk %s is full", "a"))
        with logs.about(job=number):
            log.handler.handle(record("queued"))
    told = log.lines()
    assert told.count("<6>disk a is full") == BURST
    assert len(told) == BURST + 100
    log.now += PERIOD
    log.handler.handle(record("disk %s is full", "a"))
    assert log.lines() == ["<6>message repeated 95 times: disk a is full", "<6>disk a is full"]


def test_what_was_counted_is_told_at_the_end() -> None:
    log = Log()
    with logs.about(job=4):
        for _ in range(BURST + 1):
            log.handler.handle(record("again"))
    log.handler.close()
    assert log.lines()[-1] == "<6>job 4: message repeated 1 times: again"


def test_what_was_counted_has_the_moment_of_what_was_repeated(journald: socket.socket) -> None:
    log = Log(Journal(journald.getsockname()))
    for _ in range(BURST + 1):
        again = record("again")
        again.event = Event.OUTAGE
        log.handler.handle(again)
    log.handler.close()
    told = [fields(journald.recv(65536)) for _ in range(BURST + 1)]
    assert told[-1]["MESSAGE"].startswith("message repeated")
    assert {one["MESSAGE_ID"] for one in told} == {Event.OUTAGE.value}


def test_a_traceback_is_shown_a_few_times_and_the_line_each_time() -> None:
    log = Log()
    for number in range(100):
        log.handler.handle(failed(f"job {number} failed"))
        log.handler.handle(failed(f"in task 0x{number}", name="asyncio"))
    told = "\n".join(log.lines())
    assert told.count("Traceback") == 2 * BURST
    assert (told.count("job "), told.count("in task ")) == (100, BURST)


def test_a_message_that_can_not_be_made_leaves_a_line() -> None:
    log = Log()
    log.handler.handle(record("%d", "x"))
    (told,) = log.lines()
    assert told.startswith("can't log a message: '%d': TypeError(")


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    """What stands for journald: a socket that hears the same protocol."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "journal"))
        heard.settimeout(10)
        yield heard


def test_the_journal_gets_all_that_a_line_is_about(journald: socket.socket) -> None:
    log = Log(Journal(journald.getsockname()))
    made = record("completed in %d s", 4)
    made.event = Event.JOB_COMPLETED
    with logs.about(job=42, inbox="talks", path="ä\n\udcff.wav", execution=3, worker="cpu-1"):
        logs.note(stage="saving")
        log.handler.handle(made)
    assert fields(journald.recv(65536)) == {
        "MESSAGE": "job 42 talks/ä\\n\\udcff.wav: completed in 4 s",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "scriberrd",
        "JOB_ID": "42",
        "INBOX": "talks",
        "EXECUTION": "3",
        "WORKER": "cpu-1",
        "STAGE": "saving",
        "MESSAGE_ID": "ba1573c294cb44c690ad4393809a2e2d",
    }
    log.handler.handle(failed("it failed"))
    entry = fields(journald.recv(65536))
    assert entry["MESSAGE"].startswith("it failed\nTraceback")
    assert (entry["PRIORITY"], "JOB_ID" in entry) == ("3", False)
    assert log.lines() == []
    log.handler.close()


def test_what_no_journal_takes_goes_to_stderr(journald: socket.socket) -> None:
    log = Log(Journal(journald.getsockname()))
    os.unlink(journald.getsockname())
    with logs.about(job=42):
        log.handler.handle(record("queued"))
    assert log.lines() == ["<6>job 42: queued"]
    log.handler.close()


def test_a_journal_that_does_not_read_holds_nothing_up_and_tells_of_it_when_it_does(
    journald: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PAUSE", 1e9)
    at = journald.getsockname()
    log = Log(Journal(at))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        filled = fill(other, at)
        for number in range(1000):  # it waits once
            with logs.about(job=number):
                log.handler.handle(record("queued"))
    assert log.lines() == []
    for _ in range(filled):
        journald.recv(65536)
    with logs.about(job=42):
        log.handler.handle(record("completed"))
    missing, line = (fields(journald.recv(65536)) for _ in range(2))
    assert missing["MESSAGE"].startswith("1000 lines are missing before this: the journal did not")
    assert missing["PRIORITY"] == "4"
    assert line["MESSAGE"] == "job 42: completed"
    log.handler.close()


def fill(sending: socket.socket, at: str) -> int:
    """Send until no more fits, as to a journal that does not read; gives how many did."""
    sending.settimeout(0)
    for sent in itertools.count():
        try:
            sending.sendto(b"MESSAGE=x\n", at)
        except BlockingIOError:
            return sent
    raise AssertionError


def test_a_stderr_that_nobody_reads_holds_nothing_up(journald: socket.socket) -> None:
    at = journald.getsockname()
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("w", encoding="utf-8") as stderr:
        handler = Handler(stderr, "journal", journal=Journal(at))
        os.rename(at, at + "-gone")
        for number in range(10_000):  # much more than it holds
            handler.handle(record(f"{number}: {'x' * 1000}"))
        theirs.settimeout(0)
        assert theirs.recv(100).startswith(b"<6>0: xxx")
        os.rename(at + "-gone", at)
        handler.handle(record("it is there again"))
        told = fields(journald.recv(65536))["MESSAGE"]
        assert "lines are missing before this" in told
        handler.close()


@contextlib.contextmanager
def started(monkeypatch: pytest.MonkeyPatch, to: int, **how: str) -> Iterator[Handler]:
    """A log to a descriptor; pytest's is put away, which `start` would close."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    with warnings.catch_warnings(), open(to, "w", closefd=False) as stderr:
        warnings.simplefilter("default")
        monkeypatch.setattr(sys, "stderr", stderr)
        try:
            logs.start("info", **how)  # type: ignore[arg-type]
            (ours,) = root.handlers
            assert isinstance(ours, Handler)
            yield ours
        finally:
            logging.captureWarnings(capture=False)
            for one in root.handlers:
                one.close()
            root.handlers[:] = handlers
            root.setLevel(level)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[int]:
    """A file for the log."""
    descriptor = os.open(tmp_path / "log", os.O_CREAT | os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def text(told: int) -> str:
    return os.pread(told, 65536, 0).decode()


def test_the_journal_at_stderr_is_told_by_its_own_protocol(
    monkeypatch: pytest.MonkeyPatch, told: int, journald: socket.socket
) -> None:
    stat = os.fstat(told)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
    monkeypatch.setattr(journal, "SOCKET", journald.getsockname())
    with started(monkeypatch, told):
        logging.getLogger("scriberrd").info("ready", extra={"event": Event.READY})
    assert fields(journald.recv(65536))["MESSAGE_ID"] == Event.READY.value
    assert text(told) == ""
    monkeypatch.setattr(journal, "SOCKET", "/nowhere/journal")
    with started(monkeypatch, told):
        logging.getLogger("scriberrd").info("ready")
    assert text(told) == "<6>ready\n"


def test_json_is_written_whoever_reads_it(
    monkeypatch: pytest.MonkeyPatch, told: int, journald: socket.socket
) -> None:
    stat = os.fstat(told)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
    monkeypatch.setattr(journal, "SOCKET", journald.getsockname())
    with started(monkeypatch, told, form="json"):
        logging.getLogger("scriberrd").info("ready")
    assert json.loads(text(told))["message"] == "ready"


@pytest.mark.parametrize(("without", "colours"), [("", True), ("1", False)])
def test_only_a_terminal_that_wants_them_gets_colours(
    monkeypatch: pytest.MonkeyPatch, without: str, *, colours: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", without)
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with started(monkeypatch, theirs):
        logging.getLogger("scriberrd").error("oh")
    shown = os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert (b"\033[31m" in shown) == colours


def test_warnings_are_logged(monkeypatch: pytest.MonkeyPatch, told: int) -> None:
    with started(monkeypatch, told):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        about = "About a form [aiohttp]"
        warnings.warn_explicit(about, RuntimeWarning, "x.py", 1, module="aiohttp.multipart")
    (line,) = text(told).splitlines()
    assert " WARNING " in line
    assert "DeprecationWarning: old" in line


def test_every_moment_and_every_field_is_described() -> None:
    described = (Path(__file__).parents[2] / "docs/journal.md").read_text("utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([0-9a-f]{32})` \|", described, flags=re.MULTILINE)
    assert rows == [(one.name, one.value) for one in Event]
    assert set(re.findall(r"MESSAGE_ID=(\w+)", described)) <= {one.value for one in Event}
    named = set(re.findall(r"^\| `([A-Z_]+)` \| [^`]", described, flags=re.MULTILINE))
    assert named >= set(FIELDS.values())


def test_no_moment_has_the_id_of_another() -> None:
    assert len({one.value for one in Event}) == len(Event.__members__)
    assert {len(one.value) for one in Event} == {32}
