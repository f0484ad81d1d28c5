"""A line of the log, in the form that its reader wants."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Literal

from scriberrd.logs.context import called, subject
from scriberrd.logs.journal import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

Style = Literal["plain", "terminal", "journal", "json"]

SPACES_AND_JOINERS = "\u00a0\u202f\u200c\u200d"  # harmless, and common in names
LONGEST = 2000  # characters of a line
BEGINNING, END = 20, 40  # lines shown of a longer traceback
DIM, USUAL = "\033[2m", "\033[0m"
COLORS = {"DEBUG": DIM, "WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[1;31m"}


class Formatter(logging.Formatter):
    """Lines of a style.

    - plain: time, level, message.
    - terminal: likewise, in colours.
    - journal: the journal adds the time itself; a priority stands before each line.
    - json: an object a line, for programs.
    """

    def __init__(self, style: Style = "plain") -> None:
        super().__init__()
        self._form = style

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the lines of a traceback."""
        if self._form == "json":
            return self._json(record)
        line, trace = said(record), self._trace(record)
        if self._form == "journal":
            priority = f"<{PRIORITIES.get(record.levelname, 6)}>"
            return "\n".join(priority + each for each in (line, *trace))
        at, level = self.formatTime(record), record.levelname
        if self._form == "terminal":
            color = COLORS.get(level, "")
            line = f"{DIM}{at}{USUAL} {color}{level} {line}{USUAL if color else ''}"
        else:
            line = f"{at} {level} {line}"
        return "\n".join((line, *trace))

    def message(self, record: logging.LogRecord) -> str:
        """All that is said, without time and level."""
        return "\n".join((said(record), *self._trace(record)))

    def _trace(self, record: logging.LogRecord) -> list[str]:
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        lines = record.exc_text.split("\n") if record.exc_text else []
        return [plain(line) for line in _shortened(lines)]

    def _json(self, record: logging.LogRecord) -> str:
        event, trace = getattr(record, "event", None), self._trace(record)
        fields = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": plain(record.getMessage()),
            **subject(record),
        }
        if event is not None:
            fields |= {"event": event.name.lower(), "message_id": event.value}
        if trace:
            fields["traceback"] = "\n".join(trace)
        return json.dumps(fields)


def said(record: logging.LogRecord) -> str:
    """What is said, and of what; a name in it can neither forge a line nor steer a terminal."""
    what = subject(record)
    by = f" (by {what['by']})" if "by" in what else ""
    return plain(called(what) + record.getMessage() + by)


def plain(text: str) -> str:
    """Text of others on one line of a bearable length, without what steers a terminal."""
    if text.isprintable() and len(text) <= LONGEST:  # nearly all is
        return text
    # Not with a codec, which may have to be imported: this must work without a free descriptor.
    shown = "".join(
        char if char.isprintable() or char in SPACES_AND_JOINERS else ascii(char)[1:-1]
        for char in text[:LONGEST]
    )
    cut = len(text) - LONGEST
    return f"{shown}... ({cut} more characters)" if cut > 0 else shown


def _shortened(trace: list[str]) -> Iterable[str]:
    cut = len(trace) - BEGINNING - END
    if cut <= 0:
        return trace
    return (*trace[:BEGINNING], f"  ... ({cut} more lines)", *trace[-END:])
