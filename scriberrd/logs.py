"""One line for each thing that happened, to stderr; with priorities where the journal reads it."""

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

# What journald understands at the start of a line: sd-daemon(3).
PRIORITIES = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}
SPACES_AND_JOINERS = "\u00a0\u202f\u200c\u200d"  # harmless, and common in names

LONGEST = 2000  # characters of a line
BEGINNING, END = 20, 40  # lines that are shown of a traceback that has more
BURST = 5  # times that the same is said ...
PERIOD = 60.0  # ... in so many seconds; what comes after that is counted
REMEMBERED = 1000  # messages whose repetition is noticed

OURS = "scriberrd"


class Formatter(logging.Formatter):
    """Plain text, or lines with a priority for the journal, which adds the time itself."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)s %(message)s")
        self._journal = journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line; a file name may hold anything, but must not forge one, nor steer a terminal."""
        record.message = _plain(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the lines of a traceback."""
        line, *trace = super().format(record).split("\n")
        priority = PRIORITIES.get(record.levelno, "<6>") if self._journal else ""
        return "\n".join(priority + each for each in (line, *map(_plain, _shortened(trace))))


def _plain(text: str) -> str:
    # Not with a codec, which may have to be imported: even without a free descriptor it must work.
    plain = "".join(
        char if char.isprintable() or char in SPACES_AND_JOINERS else ascii(char)[1:-1]
        for char in text[:LONGEST]
    )
    cut = len(text) - LONGEST
    return f"{plain}... ({cut} characters more)" if cut > 0 else plain


def _shortened(trace: list[str]) -> Iterable[str]:
    cut = len(trace) - BEGINNING - END
    if cut <= 0:
        return trace
    return (*trace[:BEGINNING], f"  ... ({cut} lines more)", *trace[-END:])


@dataclass
class _Said:
    until: float  # on the monotonic clock
    times: int = 0
    hidden: int = 0
    name: str = ""
    level: int = 0
    message: str = ""


class Handler(logging.StreamHandler[TextIO]):
    """Writes what was not just said several times; how often that was, it says later."""

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
                record = copy.copy(record)  # which recording it is about matters
                record.exc_info = record.exc_text = None
            if said := self._again((record.name, record.levelno, record.getMessage()[:LONGEST])):
                return _hide(said, record)
            super().emit(record)
        except Exception:  # noqa: BLE001 - logging must not end what is logged
            self.handleError(record)

    def _again(self, what: Hashable) -> _Said | None:
        """Take down that this is said; gives something once that was too often."""
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
                text = f"{said.hidden} times more: {said.message}"
                super().emit(logging.LogRecord(said.name, said.level, "", 0, text, None, None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say it in a line; the library would print two tracebacks, as often as it happens."""
        with contextlib.suppress(OSError, ValueError):  # of a stderr that has gone
            text = f"a message could not be logged: {record.msg!r:.200}: {sys.exc_info()[1]!r:.200}"
            self.stream.write(_plain(text) + self.terminator)
            self.flush()

    def close(self) -> None:
        """Tell what is not told yet."""
        with self.lock or contextlib.nullcontext():
            said, self._said = self._said, {}
            self._tell(said.values())
        super().close()


def _raised(record: logging.LogRecord) -> Hashable:
    """Which exception the record has, and where it was raised; None without one."""
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
    for chatty in ("aiohttp.access", "watchdog", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    # watchdog, of a folder that is made within a new folder, with a list of all that it watches
    warnings.filterwarnings("ignore", "Callback with id .* already exists", RuntimeWarning)
    # of the form of a client, who is told
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"aiohttp\.multipart")


def _read_by_journal() -> bool:
    """Whether stderr is the journal's: systemd.exec(5), JOURNAL_STREAM."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"
