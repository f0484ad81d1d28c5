"""What the log looks like, and what it must not let through."""

from __future__ import annotations

import logging

from scriberrd.logs import Formatter


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
