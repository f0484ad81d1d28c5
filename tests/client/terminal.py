"""A terminal of some size with a command in it, and what people see there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

DEADLINE = 120.0  # seconds


class Terminal:
    """It shows what its command writes, and keeps it."""

    def __init__(self, command: Sequence[str | Path], columns: int, rows: int, **more: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen = pyte.Screen(columns or 80, rows or 24)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.process = subprocess.Popen(
            [*command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm"} | more,
            start_new_session=True,
        )
        os.close(theirs)

    def resize(self, columns: int, rows: int) -> None:
        """As when somebody pulls at the window's corner."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)  # it is not in the foreground of the terminal

    def lines(self) -> list[str]:
        """What is seen, without the empty rest."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def until(self, seen: Callable[[str], object]) -> str:
        """What is seen once it is so."""
        deadline = time.monotonic() + DEADLINE
        while not seen(text := "\n".join(self.lines())):
            assert time.monotonic() < deadline, text
            self._read(1.0)
        return text

    def end(self) -> int:
        """The exit status, once all is read."""
        while self._read(DEADLINE):
            pass
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:  # nobody has the other end any more
            return False
        self.written += data
        self._stream.feed(data)
        return bool(data)


@contextlib.contextmanager
def terminal(
    command: Sequence[str | Path], columns: int = 80, rows: int = 24, **environment: str
) -> Iterator[Terminal]:
    """A terminal of this size while a command runs in it."""
    shown = Terminal(command, columns, rows, **environment)
    try:
        yield shown
    finally:
        shown.close()
