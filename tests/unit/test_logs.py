"""What the log looks like, and what it must not let through."""

from __future__ import annotations

import io
import logging
import warnings

from scriberrd import logs
from scriberrd.logs import BURST, LONGEST, PERIOD, Formatter, Handler


def record(message: str, *values: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("scriberrd", level, "x.py", 1, message, values, None)


def test_the_journal_gets_priorities() -> None:
    assert Formatter(journal=True).format(record("job %d done", 1)) == "<6>job 1 done"
    assert Formatter(journal=True).format(record("no", level=logging.ERROR)) == "<3>no"


def test_a_terminal_gets_time_and_level() -> None:
    assert Formatter(journal=False).format(record("ready")).endswith(" INFO ready")


def test_a_name_can_neither_forge_a_line_nor_steer_a_terminal() -> None:
    text = Formatter(journal=True).format(record("job done: %s", "a\n<2>forged\x1b[2J\x9b"))
    assert text == "<6>job done: a\\n<2>forged\\x1b[2J\\x9b"


def test_each_line_of_a_traceback_has_its_priority() -> None:
    failed = record("it failed", level=logging.ERROR)
    try:
        int("x")
    except ValueError as error:
        failed.exc_info = (type(error), error, error.__traceback__)
    lines = Formatter(journal=True).format(failed).splitlines()
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
    text = Formatter(journal=True).format(record("watched: %s", "x" * 1_000_000))
    assert len(text) < LONGEST + 100
    assert text.endswith("xxx... (998009 more characters)")


def test_a_long_traceback_keeps_its_beginning_and_its_end() -> None:
    made = failed("it failed", depth=2)
    made.exc_text = "\n".join(["Traceback", *map(str, range(200)), "ValueError: " + "x" * 5000])
    lines = Formatter(journal=True).format(made).splitlines()
    assert lines[:2] == ["<3>it failed", "<3>Traceback"]
    assert "<3>  ... (142 more lines)" in lines
    assert lines[-1].startswith("<3>ValueError: xxx")
    assert max(map(len, lines)) < LONGEST + 100


def test_a_traceback_does_not_steer_a_terminal() -> None:
    assert Formatter(journal=False).format(failed("no")).endswith("ValueError: it's no\\x1b number")


class Log:
    """What a handler writes, at times that are given."""

    def __init__(self) -> None:
        self.now, self.written = 0.0, io.StringIO()
        self.handler = Handler(self.written, monotonic=lambda: self.now)
        self.handler.setFormatter(Formatter(journal=True))

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
        log.handler.handle(record("job %d queued", number))
    told = log.lines()
    assert told.count("<6>disk a is full") == BURST
    assert len(told) == BURST + 100
    log.now += PERIOD
    log.handler.handle(record("disk %s is full", "a"))
    assert log.lines() == ["<6>message repeated 95 times: disk a is full", "<6>disk a is full"]


def test_what_was_counted_is_told_at_the_end() -> None:
    log = Log()
    for _ in range(BURST + 1):
        log.handler.handle(record("again"))
    log.handler.close()
    assert log.lines()[-1] == "<6>message repeated 1 times: again"


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


def test_warnings_are_logged() -> None:
    root, written = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        for handler in handlers:  # pytest's, which `start` would close
            root.removeHandler(handler)
        logs.start("info")
        (ours,) = root.handlers
        assert isinstance(ours, Handler)
        ours.setStream(written)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        text = "About a form [aiohttp]"
        warnings.warn_explicit(text, RuntimeWarning, "x.py", 1, module="aiohttp.multipart")
        logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    (told,) = written.getvalue().splitlines()
    assert " WARNING " in told
    assert "DeprecationWarning: old" in told
