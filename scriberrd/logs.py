"""One line for each thing that happened, to stderr; with priorities where the journal reads it."""

from __future__ import annotations

import logging
import os
import sys

# What journald understands at the start of a line: sd-daemon(3).
PRIORITIES = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}
SPACES_AND_JOINERS = "\u00a0\u202f\u200c\u200d"  # harmless, and common in names


class Formatter(logging.Formatter):
    """Plain text, or lines with a priority for the journal, which adds the time itself."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)s %(message)s")
        self._journal = journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line; a file name may hold anything, but must not forge one, nor steer a terminal."""
        record.message = "".join(map(_plain, record.message))
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the lines of a traceback."""
        text = super().format(record)
        if not self._journal:
            return text
        priority = PRIORITIES.get(record.levelno, "<6>")
        return "\n".join(priority + line for line in text.splitlines())


def _plain(char: str) -> str:
    if char.isprintable() or char in SPACES_AND_JOINERS:
        return char
    return char.encode("unicode_escape").decode()


def start(level: str) -> None:
    """Send the log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(journal=_read_by_journal()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("aiohttp.access", "watchdog", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _read_by_journal() -> bool:
    """Whether stderr is the journal's: systemd.exec(5), JOURNAL_STREAM."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"
