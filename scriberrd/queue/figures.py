"""What was done: jobs that have ended, by day, user or inbox, how fast, and of what they failed.

Of jobs that are forgotten nothing is counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import apsw

Group = Literal["day", "user", "inbox"]

WINDOW = 5000  # jobs that are counted in one step

# The plus keeps the query on the index of those that have ended, by age.
_KEYS = {
    "day": "date(finished_at, 'unixepoch', 'localtime')",
    "user": "submitted_by ->> 'name'",
    "inbox": "+inbox",
}
_SINCE = "job.finished_at >= :since AND job.finished_at < :until"
_ENDED = """
    SELECT {key}, sum(state = 'completed'), sum(state = 'failed'), sum(state = 'canceled'),
           sum(state = 'completed' AND cached = 1),
           total(duration) FILTER (WHERE state = 'completed')
    FROM job WHERE {since} GROUP BY 1
"""
_SPEEDS = f"""
    SELECT execution.model, execution.device, count(*), total(audio_seconds),
           total(transcribe_seconds)
    FROM job CROSS JOIN execution ON execution.job = job.id
    WHERE {_SINCE} AND transcribe_seconds > 0 GROUP BY 1, 2
"""
_FAILURES = f"""
    SELECT error_code, count(*) FROM job WHERE {_SINCE} AND state = 'failed' GROUP BY 1
"""


class Ended(NamedTuple):
    """Jobs that have ended."""

    completed: int = 0
    failed: int = 0
    canceled: int = 0
    hits: int = 0  # completed with the words of the library
    audio_seconds: float = 0.0  # of the completed ones' recordings

    def plus(self, other: Ended) -> Ended:
        """Both together."""
        return Ended._make(map(sum, zip(self, other, strict=True)))


class Speed(NamedTuple):
    """How fast a model is on a device."""

    runs: int = 0
    audio_seconds: float = 0.0  # that were transcribed
    seconds: float = 0.0  # that this took

    def plus(self, other: Speed) -> Speed:
        """Both together."""
        return Speed._make(map(sum, zip(self, other, strict=True)))


class Figures:
    """What was done, counted step by step: others get their turn in between."""

    def __init__(self, since: float, by: Group) -> None:
        """Begin.

        Args:
            since: only jobs that have ended since then.
            by: what tells them apart.
        """
        self.ended: dict[str | None, Ended] = {}  # None: of no user
        self.speeds: dict[tuple[str, str], Speed] = {}  # of a model on a device
        self.failures = Counter[str]()  # by code
        self._by = by
        self._since: float | None = since

    def step(self, db: apsw.Connection) -> bool:
        """Count some more jobs; whether there are more."""
        later = "SELECT finished_at FROM job WHERE finished_at > ? ORDER BY 1 LIMIT 1 OFFSET ?"
        until: float | None = db.execute(later, (self._since, WINDOW)).get
        span = {"since": self._since, "until": float("inf") if until is None else until}
        ended = _ENDED.format(key=_KEYS[self._by], since=_SINCE)
        for key, *counts in db.execute(ended, span):
            self.ended[key] = self.ended.get(key, Ended()).plus(Ended(*counts))
        for model, device, *counts in db.execute(_SPEEDS, span):
            where = model, device
            self.speeds[where] = self.speeds.get(where, Speed()).plus(Speed(*counts))
        self.failures.update(dict(db.execute(_FAILURES, span)))
        self._since = until
        return until is not None


def first_end(db: apsw.Connection) -> float | None:
    """When the first of the jobs ended that are not forgotten."""
    found: float | None = db.execute("SELECT min(finished_at) FROM job WHERE finished_at > 0").get
    return found
