"""A recording within a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scriberrd.worker.audio.view import Patch


MOST_PARTS = 10_000  # in a file: each is kept in memory


class Part(NamedTuple):
    """A recording within a file, in bytes from the start of the file."""

    start: int
    end: int
    patches: tuple[Patch, ...] = ()  # of a header that states less than the file holds
    stated: float | None = None  # seconds: what its header states, where that is not to be trusted
    short: bool = False  # the header states less; else it may state more
    cut: bool = False  # the file ends in the middle of it
