"""Tables that fit their terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scriberrctl.render.screen import LEAST, Screen, pad, shorten, width
from scriberrctl.render.values import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = 2  # columns
LONG = 24  # columns that the longest cells keep before others go


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    screen: Screen | None = None,
    spare: Sequence[str] = (),
) -> str:
    """Aligned columns under headings; where all do not fit, the widest are cut in their middle.

    Args:
        headings: of the columns.
        rows: the cells below.
        screen: where it is shown; by default on stdout.
        spare: headings of columns that go first where there is little room: what says the least.
    """
    screen = screen or Screen.of(sys.stdout)
    lines = [headings, *([plain(cell) for cell in row] for row in rows)]
    columns = [*zip(*lines, strict=True)]
    for heading in spare:
        if screen.columns is None or _least(columns) <= screen.columns:
            break
        columns = [column for column in columns if column[0] != heading]
    widths = [max(map(width, column)) for column in columns]
    if screen.columns is not None:
        _squeeze(widths, screen.columns - GAP * (len(widths) - 1))
    return "\n".join(
        screen.fit(
            (" " * GAP)
            .join(pad(shorten(cell, room), room) for cell, room in zip(line, widths, strict=True))
            .rstrip()
        )
        for line in zip(*columns, strict=True)
    )


def _least(columns: Iterable[Sequence[str]]) -> int:
    """How wide a table is whose longest cells are cut as far as they may be."""
    return sum(min(max(map(width, column)), LONG) + GAP for column in columns) - GAP


def _squeeze(widths: list[int], room: int) -> None:
    """Take from the widest until all have room."""
    while (over := sum(widths) - room) > 0 and max(widths) > LEAST:
        widest = widths.index(max(widths))
        next_ = max((other for other in widths if other < widths[widest]), default=LEAST)
        widths[widest] -= max(1, min(over, widths[widest] - max(next_, LEAST)))
