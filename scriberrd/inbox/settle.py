"""Wait until a file has stopped changing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scriberrd.inbox.scan import Found
    from scriberrd.model import Identity


class Settling:
    """The files of an inbox that are not taken yet, and since when each is as it is.

    A file has settled when two looks at least `settle` seconds apart saw the same identity, and
    no look between them another one. With a `settle` of 0 it is taken at the first look. All times
    are those of a monotonic clock.
    """

    def __init__(self, settle: float) -> None:
        self.settle = settle
        self._due: dict[bytes, tuple[Identity, float]] = {}

    def update(self, found: Iterable[Found], now: float) -> list[Found]:
        """Note what a look found, and return what has settled; the rest is waited for.

        A file that is not among those found is forgotten, and so is one that is returned.
        """
        due: dict[bytes, tuple[Identity, float]] = {}
        settled = []
        for file in found:
            identity, at = self._due.get(file.path, (None, 0.0))
            if identity != file.identity:
                at = now + self.settle
            if at <= now:
                settled.append(file)
            else:
                due[file.path] = (file.identity, at)
        self._due = due
        return settled

    def postpone(self, file: Found, until: float) -> None:
        """Return this file again then, unless it changes before."""
        self._due[file.path] = (file.identity, until)

    def next_due(self, now: float) -> float | None:
        """Seconds until the next file may have settled; None when nothing is waited for."""
        if not self._due:
            return None
        return max(min(at for _, at in self._due.values()) - now, 0.0)
