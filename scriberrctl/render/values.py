"""Single values for people. Text that came from a file name is made harmless first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scriberrctl.shapes import Failure

BAR = 20  # characters
UNITS = {"y": 365 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}  # in seconds
SPACES_AND_JOINERS = "\u00a0\u202f\u200c\u200d"  # harmless, and common in names


def plain(text: str) -> str:
    """`text` with everything escaped that could control a terminal or hide text."""
    if text.isprintable():  # nearly all is
        return text
    return "".join(
        char
        if char.isprintable() or char in SPACES_AND_JOINERS
        else char.encode("unicode_escape").decode()
        for char in text
    )


def duration(seconds: float | None) -> str:
    """Such as 1:02:03 or 2:03."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def lasting(seconds: float) -> str:
    """Such as 36s, 12m 30s or 120h 05m: for sums, which may be short or long."""
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours}h {left:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def times(real_time_factor: float | None) -> str:
    """How fast work is against real time, such as 12.3x; empty: not known."""
    if not real_time_factor:
        return ""
    speed = 1 / real_time_factor
    return f"{speed:.1f}x" if speed >= 1 else f"{speed:.2g}x"


def short(seconds: float) -> str:
    """Such as 40s, 5m, 2h or 3d: whole ones of the largest unit."""
    for unit, length in UNITS.items():
        if seconds >= length:
            return f"{int(seconds / length)}{unit}"
    return "0s"


def seconds_of(instant: str) -> float:
    """A time of the API, in seconds since the epoch."""
    return datetime.fromisoformat(instant).timestamp()


def moment(instant: str | None) -> str:
    """A time of the API, in local time."""
    if instant is None:
        return "-"
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M:%S}"


def size(bytes_: float) -> str:
    """Such as 148 MB."""
    return f"{bytes_ / 1e6:.0f} MB"


def counted(numbers: Mapping[Any, int]) -> str:
    """How many there are of each kind."""
    return ", ".join(f"{number} {kind}" for kind, number in numbers.items())


def failure(error: Failure) -> str:
    """What went wrong, on one line."""
    return plain(": ".join(filter(None, [error["message"], error["detail"]])))
