"""Where lines go: to the journal with all they are about, else to stderr."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import select
import sys
import time
import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from scriberrd.logs.context import subject
from scriberrd.logs.journal import Journal
from scriberrd.logs.lines import LONGEST, Formatter, plain, said

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from scriberrd.logs.lines import Style

BURST = 5  # times that the same message is logged ...
PERIOD = 60.0  # ... in so many seconds; more of them are only counted
REMEMBERED = 1000  # messages whose repetition is noticed

OURS = "scriberrd"


@dataclass
class _Seen:
    until: float  # on the monotonic clock
    times: int = 0
    hidden: int = 0
    latest: logging.LogRecord | None = None  # that was hidden


class Handler(logging.StreamHandler[TextIO]):
    """Writes messages, except those that were just repeated several times: it counts these."""

    def __init__(
        self,
        to: TextIO,
        style: Style = "plain",
        *,
        journal: Journal | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it.

        Args:
            to: where lines go that no journal takes.
            style: of these.
            journal: is asked first.
            monotonic: where time comes from.
        """
        super().__init__(to)
        self._lines = Formatter(style)
        self.setFormatter(self._lines)
        self._journal, self._monotonic = journal, monotonic
        self._seen: dict[Hashable, _Seen] = {}  # oldest first

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, count it, or write it without its traceback."""
        try:
            subject(record)
            self._tell(self._over(self._monotonic()))
            where = _raised(record)
            if where is not None and (seen := self._again(where)):
                if not record.name.startswith(
                    OURS
                ):  # a library names the object, each time another
                    return _hide(seen, record)
                record = copy.copy(record)  # the message names the recording, so it stays
                record.exc_info = record.exc_text = None
            if seen := self._again((record.name, record.levelno, said(record))):
                return _hide(seen, record)
            self._write(record)
        except Exception:  # noqa: BLE001 - logging must not end what is logged
            self.handleError(record)

    def _write(self, record: logging.LogRecord) -> None:
        if self._journal is not None:
            if self._journal.send(record, self._lines.message(record)):
                return
            if not _takes(self.stream):
                self._journal.missing += 1
                return
        super().emit(record)

    def _again(self, what: Hashable) -> _Seen | None:
        """Count a message; returns its count once that is too large."""
        if what not in self._seen:
            self._seen[what] = _Seen(self._monotonic() + PERIOD)
        seen = self._seen[what]
        seen.times += 1
        return seen if seen.times > BURST else None

    def _over(self, now: float) -> Iterator[_Seen]:
        while self._seen:
            what, seen = next(iter(self._seen.items()))
            if now < seen.until and len(self._seen) < REMEMBERED:
                return
            yield self._seen.pop(what)

    def _tell(self, over: Iterable[_Seen]) -> None:
        for seen in over:
            if seen.latest is not None:
                latest = seen.latest
                text = f"message repeated {seen.hidden} times: {latest.msg}"
                told = logging.LogRecord(latest.name, latest.levelno, "", 0, text, None, None)
                told.subject, told.event = subject(latest), getattr(latest, "event", None)
                self._write(told)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report it on one line; the library would print two tracebacks each time."""
        with contextlib.suppress(OSError, ValueError):  # stderr is gone
            text = f"can't log a message: {record.msg!r:.200}: {sys.exc_info()[1]!r:.200}"
            self.stream.write(plain(text) + self.terminator)
            self.flush()

    def close(self) -> None:
        """Log the counts that were not logged yet."""
        with self.lock or contextlib.nullcontext():
            seen, self._seen = self._seen, {}
            self._tell(seen.values())
            if self._journal is not None:
                self._journal.close()
        super().close()


def _takes(stream: TextIO) -> bool:
    """Whether a line can be written without waiting for somebody who reads."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # it has no descriptor
        return True
    return bool(poll.poll(0))


def _raised(record: logging.LogRecord) -> Hashable:
    """The type of the record's exception and where it was raised; None without one."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return None
    lines = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return (record.name, type(error), *lines[-1:])


def _hide(seen: _Seen, record: logging.LogRecord) -> None:
    seen.hidden += 1
    seen.latest = copy.copy(record)  # without what it would keep alive
    seen.latest.msg, seen.latest.args = record.getMessage()[:LONGEST], None
    seen.latest.exc_info = seen.latest.exc_text = None


def start(level: str, form: Literal["text", "json"] = "text") -> None:
    """Begin to log, and the warnings of libraries with it.

    Args:
        level: from which on lines are written.
        form: text for the reader that is found at stderr, or JSON for a program.
    """
    journal, style = None, "json" if form == "json" else _style()
    if style == "journal":
        with contextlib.suppress(OSError):  # then stderr leads there, without fields
            journal = Journal()
    handler = Handler(sys.stderr, style, journal=journal)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("aiohttp.access", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It warns when notifications were lost: the next scan finds what they told of.
    logging.getLogger("watchdog").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    # about the form of a client, who gets an error
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"aiohttp\.multipart")


def set_level(level: str) -> None:
    """From which level on lines are written from now on."""
    logging.getLogger().setLevel(level.upper())


def _style() -> Style:
    """Who reads stderr: systemd.exec(5) tells of JOURNAL_STREAM, no-color.org of NO_COLOR."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
        terminal = sys.stderr.isatty()
    except (OSError, ValueError):
        return "plain"
    if os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}":
        return "journal"
    colorless = os.environ.get("NO_COLOR") or os.environ.get("TERM") in {None, "", "dumb"}
    return "terminal" if terminal and not colorless else "plain"
