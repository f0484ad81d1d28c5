"""Wait until a file has stopped changing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scriberrd.inbox.scan import Found
    from scriberrd.model import Identity


class Settling:
    """The files of an inbox that are not accepted yet, and when each will have settled.

    A file has settled when two scans at least `settle` seconds apart saw the same identity, and no
    scan between them saw another. With a `settle` of 0 the first scan is enough. All times are
    those of a monotonic clock.
    """

    def __init__(self, settle: float) -> None:
        self.settle = settle
        self._due: dict[bytes, tuple[Identity, float]] = {}

    def update(self, found: Iterable[Found], now: float) -> list[Found]:
        """Take in the result of a scan, and return the files that have settled.

        Files that were not found or are returned are forgotten.
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
        """Return this file again at that time, unless it changes before."""
        self._due[file.path] = (file.identity, until)

    def waiting(self, now: float) -> dict[bytes, float]:
        """The files that have not settled: path -> seconds until they may have."""
        return {path: max(at - now, 0.0) for path, (_, at) in self._due.items()}

    def next_due(self, now: float) -> float | None:
        """Seconds until the next file may have settled; None when there is none."""
        if not self._due:
            return None
        return max(min(at for _, at in self._due.values()) - now, 0.0)
