"""Where text goes: a terminal of some size, or anywhere; and how text is fitted to it."""

from __future__ import annotations

import os
import time
from typing import IO, NamedTuple

from scriberrctl.render.values import moment, seconds_of, short

SIZE = os.terminal_size((80, 24))  # of a terminal that does not know its own
NARROW = "\u0300"  # every printable character before the first combining one has one column
ELLIPSIS = "…"
LEAST = 4  # columns: narrower, nothing can be said


class Screen(NamedTuple):
    """A terminal, or whatever else text goes to: that has no size, and nothing is cut for it."""

    columns: int | None = None
    rows: int | None = None
    now: float = 0.0  # seconds since the epoch
    draws: bool = False  # whether the cursor can be moved

    @classmethod
    def of(cls, stream: IO[str]) -> Screen:
        """What a stream goes to, as it is now."""
        if not stream.isatty():
            return cls(now=time.time())
        try:
            size = os.get_terminal_size(stream.fileno())
        except OSError:
            size = SIZE
        columns, rows = size.columns or SIZE.columns, size.lines or SIZE.lines
        return cls(columns, rows, time.time(), os.environ.get("TERM") != "dumb")

    def when(self, instant: str | None) -> str:
        """A time of the API: on a terminal, such as 5m ago or in 2h."""
        if instant is None or self.columns is None:
            return moment(instant)
        seconds = self.age(instant)
        if abs(seconds) < 1:
            return "now"
        return f"{short(seconds)} ago" if seconds > 0 else f"in {short(-seconds)}"

    def age(self, instant: str) -> float:
        """Seconds since a time of the API."""
        return self.now - seconds_of(instant)

    def fit(self, line: str) -> str:
        """A line, cut at the end where the screen is narrower."""
        return line if self.columns is None else cut(line, self.columns)

    def inside(self, indent: int) -> Screen:
        """What is left of it behind an indentation."""
        return self if self.columns is None else self._replace(columns=self.columns - indent)

    def wrap(self, text: str, indent: int) -> str:
        """Text in as many lines as it takes, all but the first indented.

        A word is only broken that is longer than a line.
        """
        if self.columns is None:
            return text
        left = max(self.columns - indent, LEAST)
        first, *words = text.split(" ")
        lines = _pieces(first, left)
        for word in words:
            longer = f"{lines[-1]} {word}"
            if width(longer) <= left:
                lines[-1] = longer
            else:
                lines += _pieces(word, left)
        return ("\n" + " " * indent).join(lines)

    def hang(self, start: str, text: str) -> str:
        """Text behind a start, and below itself where it takes more lines; it all is `plain`."""
        indent = width(start)
        if self.columns is not None and self.columns < 2 * indent:
            return self.wrap(start + text, LEAST)
        return start + self.wrap(text, indent)


def width(text: str) -> int:
    """How many columns text takes; it has nothing that `plain` would escape."""
    if not text or max(text) < NARROW:
        return len(text)
    from wcwidth import wcswidth  # noqa: PLC0415 - takes longer than all the rest of a command

    return max(wcswidth(text), 0)


def cut(text: str, columns: int) -> str:
    """Text, cut at the end if it is wider."""
    if width(text) <= columns:
        return text
    return _head(text, columns - 1) + ELLIPSIS if columns > 0 else ""


def shorten(text: str, columns: int) -> str:
    """Text, cut in its middle if it is wider: of a path, the end says the most."""
    if width(text) <= columns:
        return text
    if columns <= 1:
        return ELLIPSIS * columns
    head = _head(text, (columns - 1) // 3)
    return head + ELLIPSIS + _tail(text, columns - 1 - width(head))


def pad(text: str, columns: int) -> str:
    """Text, with blanks at its end until it is so wide."""
    return text + " " * (columns - width(text))


def _pieces(word: str, columns: int) -> list[str]:
    """A word in as few pieces as it takes."""
    pieces = []
    while width(word) > columns:
        pieces.append(_head(word, columns))
        word = word[len(pieces[-1]) :]
    return [*pieces, word]


def _head(text: str, columns: int) -> str:
    if max(text) < NARROW:
        return text[:columns]
    kept = ""
    for cluster in _clusters(text):
        if width(kept + cluster) > columns:
            break
        kept += cluster
    return kept


def _tail(text: str, columns: int) -> str:
    if max(text) < NARROW:
        return text[len(text) - columns :]
    kept = ""
    for cluster in reversed(_clusters(text)):
        if width(cluster + kept) > columns:
            break
        kept = cluster + kept
    return kept


def _clusters(text: str) -> list[str]:
    """What people take for one character each."""
    from wcwidth import iter_graphemes  # noqa: PLC0415 - as above

    return list(iter_graphemes(text))
