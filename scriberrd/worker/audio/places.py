"""Places in a recording, for warnings: how many and how long they are does not matter to memory."""

from __future__ import annotations

MOST = 10  # places that are named; the others are counted
MOMENT = 0.1  # seconds; what is shorter has no end worth naming
NEAR = 1.0  # seconds between two places that are named as one


class Places:
    """Stretches of time, added in their order; those near each other are one."""

    def __init__(self) -> None:
        self._named: list[tuple[float, float]] = []
        self._last = (0.0, 0.0)
        self._count = 0
        self.added = 0

    def add(self, start: float, end: float) -> None:
        """Note that something is so from `start` to `end`, in seconds."""
        self.added += 1
        if self._count and start <= self._last[1] + NEAR:
            self._last = (self._last[0], max(end, self._last[1]))
        else:
            self._last, self._count = (start, end), self._count + 1
        if self._count <= MOST:
            self._named[self._count - 1 :] = [self._last]

    def reaches(self, time: float) -> bool:
        """Whether the last place is at or near `time`."""
        return bool(self._count) and self._last[0] - NEAR <= time <= self._last[1] + NEAR

    def __bool__(self) -> bool:
        return bool(self._count)

    def __str__(self) -> str:
        """For example "from 4.9 to 5.4 s, from 7.0 to 9.0 s and at 3 more places"."""
        named = ", ".join(_named(start, end) for start, end in self._named)
        more = self._count - len(self._named)
        return f"{named} and at {more} more place{'s' if more > 1 else ''}" if more else named


def _named(start: float, end: float) -> str:
    return f"from {start:.1f} to {end:.1f} s" if end - start >= MOMENT else f"at {start:.1f} s"
