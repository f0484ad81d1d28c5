"""The log: one line per message, to stderr; with priorities when the journal reads it."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import sys
import time
import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

# Prefixes that journald understands: sd-daemon(3).
PRIORITIES = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}
SPACES_AND_JOINERS = "\u00a0\u202f\u200c\u200d"  # harmless, and common in names

LONGEST = 2000  # characters of a line
BEGINNING, END = 20, 40  # lines shown of a longer traceback
BURST = 5  # times that the same message is logged ...
PERIOD = 60.0  # ... in so many seconds; more of them are only counted
REMEMBERED = 1000  # messages whose repetition is noticed

OURS = "scriberrd"


class Formatter(logging.Formatter):
    """Plain lines, or, for the journal, which adds the time itself, lines with a priority."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)s %(message)s")
        self._journal = journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line; a file name in it can neither forge a line nor control a terminal."""
        record.message = _plain(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the lines of a traceback."""
        line, *trace = super().format(record).split("\n")
        priority = PRIORITIES.get(record.levelno, "<6>") if self._journal else ""
        return "\n".join(priority + each for each in (line, *map(_plain, _shortened(trace))))


def _plain(text: str) -> str:
    # Not with a codec, which may have to be imported: this must work without a free descriptor.
    plain = "".join(
        char if char.isprintable() or char in SPACES_AND_JOINERS else ascii(char)[1:-1]
        for char in text[:LONGEST]
    )
    cut = len(text) - LONGEST
    return f"{plain}... ({cut} more characters)" if cut > 0 else plain


def _shortened(trace: list[str]) -> Iterable[str]:
    cut = len(trace) - BEGINNING - END
    if cut <= 0:
        return trace
    return (*trace[:BEGINNING], f"  ... ({cut} more lines)", *trace[-END:])


@dataclass
class _Said:
    until: float  # on the monotonic clock
    times: int = 0
    hidden: int = 0
    name: str = ""
    level: int = 0
    message: str = ""


class Handler(logging.StreamHandler[TextIO]):
    """Writes messages, except those that were just repeated several times: it counts these."""

    def __init__(self, to: TextIO, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(to)
        self._monotonic = monotonic
        self._said: dict[Hashable, _Said] = {}  # oldest first

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, count it, or write it without its traceback."""
        try:
            self._tell(self._over(self._monotonic()))
            where = _raised(record)
            if where is not None and (said := self._again(where)):
                if not record.name.startswith(
                    OURS
                ):  # a library names the object, each time another
                    return _hide(said, record)
                record = copy.copy(record)  # the message names the recording, so it stays
                record.exc_info = record.exc_text = None
            if said := self._again((record.name, record.levelno, record.getMessage()[:LONGEST])):
                return _hide(said, record)
            super().emit(record)
        except Exception:  # noqa: BLE001 - logging must not end what is logged
            self.handleError(record)

    def _again(self, what: Hashable) -> _Said | None:
        """Count a message; returns its count once that is too large."""
        if what not in self._said:
            self._said[what] = _Said(self._monotonic() + PERIOD)
        said = self._said[what]
        said.times += 1
        return said if said.times > BURST else None

    def _over(self, now: float) -> Iterator[_Said]:
        while self._said:
            what, said = next(iter(self._said.items()))
            if now < said.until and len(self._said) < REMEMBERED:
                return
            yield self._said.pop(what)

    def _tell(self, over: Iterable[_Said]) -> None:
        for said in over:
            if said.hidden:
                text = f"message repeated {said.hidden} times: {said.message}"
                super().emit(logging.LogRecord(said.name, said.level, "", 0, text, None, None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report it on one line; the library would print two tracebacks each time."""
        with contextlib.suppress(OSError, ValueError):  # stderr is gone
            text = f"can't log a message: {record.msg!r:.200}: {sys.exc_info()[1]!r:.200}"
            self.stream.write(_plain(text) + self.terminator)
            self.flush()

    def close(self) -> None:
        """Log the counts that were not logged yet."""
        with self.lock or contextlib.nullcontext():
            said, self._said = self._said, {}
            self._tell(said.values())
        super().close()


def _raised(record: logging.LogRecord) -> Hashable:
    """The type of the record's exception and where it was raised; None without one."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return None
    lines = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return (record.name, type(error), *lines[-1:])


def _hide(said: _Said, record: logging.LogRecord) -> None:
    said.hidden += 1
    said.name, said.level = record.name, record.levelno
    said.message = record.getMessage()[:LONGEST]


def start(level: str) -> None:
    """Send the log to stderr, and the warnings of libraries with it."""
    handler = Handler(sys.stderr)
    handler.setFormatter(Formatter(journal=_read_by_journal()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("aiohttp.access", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It warns when notifications were lost: the next scan finds what they told of.
    logging.getLogger("watchdog").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    # about the form of a client, who gets an error
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"aiohttp\.multipart")


def _read_by_journal() -> bool:
    """Whether stderr goes to the journal: systemd.exec(5), JOURNAL_STREAM."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"
