"""Tables that fit their terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scriberrctl.render.screen import Screen, pad, shorten, width
from scriberrctl.render.values import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = 2  # columns
LEAST = 4  # columns: narrower, a cell says nothing


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], screen: Screen | None = None
) -> str:
    """Aligned columns under headings; where all do not fit, the widest are cut in their middle.

    Args:
        headings: of the columns.
        rows: the cells below.
        screen: where it is shown; by default on stdout.
    """
    screen = screen or Screen.of(sys.stdout)
    lines = [headings, *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    if screen.columns is not None:
        _squeeze(widths, screen.columns - GAP * (len(widths) - 1))
    return "\n".join(
        (" " * GAP)
        .join(pad(shorten(cell, width), width) for cell, width in zip(line, widths, strict=True))
        .rstrip()
        for line in lines
    )


def _squeeze(widths: list[int], room: int) -> None:
    """Take from the widest until all have room."""
    while (over := sum(widths) - room) > 0 and max(widths) > LEAST:
        widest = widths.index(max(widths))
        next_ = max((other for other in widths if other < widths[widest]), default=LEAST)
        widths[widest] -= max(1, min(over, widths[widest] - max(next_, LEAST)))
