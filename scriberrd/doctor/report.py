"""What a part of an installation is like: a line for people, or JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

State = Literal["ok", "warning", "problem"]


class Line(msgspec.Struct, frozen=True):
    """A part of an installation, how it is, and what to do about it."""

    part: str
    state: State  # a problem: something can't work until it is mended
    what: str
    advice: str = ""


def texts(lines: Sequence[Line]) -> Iterator[tuple[State | None, str]]:
    """The lines of a screen, each with the state that it shows."""
    width = max(len(line.part) for line in lines)
    for line in lines:
        start = f"{line.state:7}  {line.part:{width}}  "
        yield line.state, f"{start}{line.what}"
        if line.advice:
            yield line.state, f"{' ' * len(start)}-> {line.advice}"
    counts = [
        f"{number} {state}{'s' * (number > 1)}"
        for state in ("problem", "warning")
        if (number := sum(line.state == state for line in lines))
    ]
    yield None, ", ".join(counts) or "all is well"
