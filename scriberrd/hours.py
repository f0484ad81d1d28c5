"""The hours of the day in which a worker pool works."""

from __future__ import annotations

import re
import time
from typing import ClassVar, Self

_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_WINDOW = re.compile(rf"{_TIME}-({_TIME}|24:00)")

MINUTE = 60.0  # seconds: a window opens and closes at whole minutes


class Hours(str):
    """Windows of local time such as "22:00-07:00, 12:30-13:00"; empty: always.

    Local time decides: when the clocks go forward, the skipped hour is missing from its window;
    when they go back, the repeated hour counts twice.
    """

    __slots__ = ()

    ALLOWED: ClassVar = 'hours such as "22:00-07:00", several of them with commas, or "" for always'

    @classmethod
    def read(cls, value: object) -> Self:
        """Parse a value of the configuration; ValueError when it is not a list of windows."""
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004 - to msgspec a wrong type is a wrong value
        for window in value.split(",") if value.strip() else ():
            if not _WINDOW.fullmatch(window.strip()):
                raise ValueError
            start, end = _minutes(window)
            if start == end:
                raise ValueError
        return cls(value.strip())

    def include(self, now: float) -> bool:
        """Whether a window is open at this time (seconds since the epoch)."""
        if not self:
            return True
        local = time.localtime(now)
        minute = local.tm_hour * 60 + local.tm_min
        for start, end in map(_minutes, self.split(",")):
            inside = start <= minute < end
            if inside or (end < start and not end <= minute < start):  # over midnight
                return True
        return False

    def look_again(self, now: float) -> float | None:
        """Seconds until a window may have opened or closed; None when that never happens.

        Always the next whole minute, even if the window is far off: the clock may be set meanwhile.
        """
        return MINUTE - now % MINUTE if self else None


def _minutes(window: str) -> tuple[int, int]:
    """Start and end of a window, in minutes of the day."""
    hours_and_minutes = [int(number) for number in re.findall(r"\d+", window)]
    start_hour, start, end_hour, end = hours_and_minutes
    return start_hour * 60 + start, end_hour * 60 + end
