"""Durations, sizes and numbers, as people write them in a configuration."""

from __future__ import annotations

import re
from typing import ClassVar, Self

LARGEST = 2**53  # bytes
LONGEST = 100 * 365 * 86400  # seconds: added to a time, the sum is still a valid time


class Seconds(float):
    """A duration in seconds, written as a number or as "90s", "10m", "1h30m", "7d"."""

    LEAST: ClassVar = 0.0
    UNITS: ClassVar = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    ALLOWED = 'a duration such as "30s", "10m", "1h30m", or a number of seconds'

    @classmethod
    def read(cls, value: object) -> Self:
        """Parse a value of the file; ValueError when it is not a duration."""
        seconds: float = -1
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value
        elif isinstance(value, str) and re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", value):
            parts = re.findall(r"([\d.]+)([a-z]+)", value)
            seconds = sum(float(number) * cls.UNITS[unit] for number, unit in parts)
        if cls.LEAST <= seconds <= LONGEST:
            return cls(seconds)
        raise ValueError


class Span(Seconds):
    """A duration of more than 0: for what would otherwise never pause, or end at once."""

    LEAST = 0.001
    ALLOWED = f"{Seconds.ALLOWED}, of more than 0"


class Bytes(int):
    """A size in bytes, written as a number or as "500MB", "4GiB"."""

    UNITS: ClassVar = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
        "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40
    }  # fmt: skip
    ALLOWED = 'a size such as "500MB", "4GiB", or a number of bytes'

    @classmethod
    def read(cls, value: object) -> Self:
        """Parse a value of the file; ValueError when it is not a size."""
        size: float = -1
        if isinstance(value, int) and not isinstance(value, bool):
            size = value
        elif isinstance(value, str) and (
            match := re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]|[KMGT]i)?B?", value)
        ):
            size = float(match[1]) * cls.UNITS[match[2] or ""]
        if 0 <= size <= LARGEST:
            return cls(size)
        raise ValueError


class Count(int):
    """A number that may be left to the machine: written as "auto", and 0 until it is chosen."""

    MOST: ClassVar = 1000
    ALLOWED = f'"auto", or a whole number from 1 to {MOST}'

    @classmethod
    def read(cls, value: object) -> Self:
        """Parse a value of the file; ValueError when it is no such number."""
        if value == "auto":
            return cls(0)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= cls.MOST:
            return cls(value)
        raise ValueError
