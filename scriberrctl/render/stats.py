"""What was done, for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scriberrctl.render.screen import Screen
from scriberrctl.render.table import table
from scriberrctl.render.values import lasting, moment, plain

if TYPE_CHECKING:
    from scriberrctl.shapes import Ended, Stats

NOBODY = {"day": "-", "user": "(found in an inbox)", "inbox": "-"}


def stats(stats: Stats) -> str:
    """All of it: a line for each group, each model and device, each kind of failure."""
    if stats["since"] is None:
        return "nothing has been done yet, or it is forgotten"
    screen = Screen.of(sys.stdout)
    rows = [_row(one["key"] or NOBODY[stats["by"]], one) for one in stats["groups"]]
    heads = [stats["by"].upper(), "AUDIO", "COMPLETED", "FAILED", "CANCELED", "FROM LIBRARY"]
    since = moment(stats["since"])
    parts = [
        screen.wrap(
            f"Jobs that have ended since {since}; AUDIO is how long their recordings are.", 0
        ),
        table(heads, [*rows, _row("total", stats["total"])]),
    ]
    if stats["speeds"]:
        speeds = [
            [
                one["model"],
                one["device"],
                str(one["runs"]),
                lasting(one["audio_seconds"]),
                _times(f),
            ]
            for one in stats["speeds"]
            if (f := one["real_time_factor"])
        ]
        parts.append(table(["MODEL", "DEVICE", "RUNS", "AUDIO", "SPEED"], speeds))
    if stats["failures"]:
        failed = [[one["code"], str(one["jobs"]), one["message"]] for one in stats["failures"]]
        parts.append(table(["FAILURE", "JOBS", ""], failed))
    return "\n\n".join(parts)


def _row(key: str, one: Ended) -> list[str]:
    counts = (one["completed"], one["failed"], one["canceled"], one["hits"])
    return [plain(key), lasting(one["audio_seconds"]), *map(str, counts)]


def _times(factor: float) -> str:
    return f"{1 / factor:.1f}x real time"
