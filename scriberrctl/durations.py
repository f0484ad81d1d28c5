"""Durations on the command line, written as in the configuration."""

from __future__ import annotations

import re

import click

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
MOST_DAYS = 36_500  # a time so long ago is still a date
MOST = MOST_DAYS * UNITS["d"]


class Duration(click.ParamType[float]):
    """Seconds, written as a number or as "90s", "10m", "1h30m", "7d"."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds."""
        text = str(value)
        if re.fullmatch(r"\d+(\.\d+)?", text):
            text += "s"
        if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", text):
            self.fail(f'{value!r} is not a duration such as "30s", "10m", "1h30m"', param, ctx)
        seconds = sum(
            float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)([a-z]+)", text)
        )
        if seconds > MOST:
            self.fail(f"{value!r} is longer than {MOST_DAYS} days", param, ctx)
        return seconds


DURATION = Duration()
