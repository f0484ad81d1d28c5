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
        self._postponed = set[bytes]()  # of these: what has settled

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
                self._postponed.discard(file.path)
            if at <= now:
                settled.append(file)
            else:
                due[file.path] = (file.identity, at)
        self._due = due
        self._postponed &= due.keys()
        return settled

    def __len__(self) -> int:
        return len(self._due)

    @property
    def changing(self) -> int:
        """How many files have not settled; those that are postponed have."""
        return len(self._due) - len(self._postponed)

    def holds(self, file: Found) -> bool:
        """Whether this version of a file was found before, and has not settled."""
        return self._due.get(file.path, (None,))[0] == file.identity

    def waiting(self, now: float) -> dict[bytes, float]:
        """The files that have not settled, and in how many seconds each may have."""
        changing = self._due.keys() - self._postponed
        return {path: max(self._due[path][1] - now, 0.0) for path in changing}

    def postpone(self, file: Found, until: float) -> None:
        """Return this file again at that time, unless it changes before."""
        self._due[file.path] = (file.identity, until)
        self._postponed.add(file.path)

    def next_due(self, now: float) -> float | None:
        """Seconds until the next file may have settled; None when there is none."""
        if not self._due:
            return None
        return max(min(at for _, at in self._due.values()) - now, 0.0)
