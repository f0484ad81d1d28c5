"""What a worker prints: line by line into the journal, and no more of it than people can read."""

from __future__ import annotations

import logging
from collections import deque
from contextvars import copy_context

from scriberrd.logs import about

log = logging.getLogger(__name__)

TAIL_LINES = 20  # that are kept, for the record of a death
LINE_BYTES = 2_000  # of each line; what goes beyond is cut off
BURST = 100  # lines that may come at once: a traceback, and what led to it
RATE = 20.0  # lines a second from then on


class Printed:
    """What one worker prints. Times are monotonic."""

    def __init__(self, worker: str) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.left_out = 0  # lines since it was last said how many
        self._worker = worker
        with about(worker=worker):
            self._context = copy_context()  # of what its lines are about
        self._rest = b""
        self._allowed, self._at = float(BURST), 0.0

    def begin(self) -> None:
        """From now on it is at the job that it is called for."""
        self._context = copy_context()
        self.tail.clear()

    def hear(self, chunk: bytes, now: float) -> None:
        """Take what it has printed, wherever its lines were torn."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[:LINE_BYTES]
        for line in lines:
            self.tell(line[:LINE_BYTES].decode("utf-8", "replace"), now)

    def tell(self, line: str, now: float) -> None:
        """Log one line, unless there were too many of late."""
        if not line.strip():
            return
        self.tail.append(line)
        if self._allows(now):
            self.catch_up()
            self._log(line)
        else:
            self.left_out += 1

    def catch_up(self) -> None:
        """Say how many lines were left out, if any were."""
        if self.left_out:
            self._log(f"{self.left_out} lines left out")
            self.left_out = 0

    def _log(self, line: str) -> None:
        self._context.run(log.warning, "worker %s: %s", self._worker, line)

    def end(self, now: float) -> None:
        """It prints no more."""
        self.hear(b"\n", now)
        self.catch_up()

    def _allows(self, now: float) -> bool:
        self._allowed = min(float(BURST), self._allowed + (now - self._at) * RATE)
        self._at = now
        if self._allowed < 1.0:
            return False
        self._allowed -= 1.0
        return True
