"""How long a run may take, measured against the duration of its recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd import protocol

if TYPE_CHECKING:
    from scriberrd.config import Retry


class Limits:
    """The time of one run, from when the model was loaded. Times are monotonic.

    A model that is downloaded first, or a container that does not tell its duration, is nobody's
    fault: no limit applies to them.
    """

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._duration: float | None = None
        self._began: float | None = None
        self._warned = False

    def hear(self, reply: protocol.Reply, now: float) -> None:
        """Take note of what the worker says."""
        if isinstance(reply, protocol.Probed):
            self._duration = reply.duration
        elif isinstance(reply, protocol.Loaded):
            self._began = now

    def skip(self, seconds: float) -> None:
        """So much time has just passed that does not count."""
        if self._began is not None:
            self._began += seconds

    def warning(self, now: float) -> float | None:
        """The seconds that the run has taken, once, when they pass the soft limit."""
        if self._warned or (taken := self._beyond(self._retry.soft_limit, now)) is None:
            return None
        self._warned = True
        return taken

    def exceeded(self, now: float) -> str | None:
        """Why the run is to be stopped, if it has passed the hard limit."""
        taken = self._beyond(self._retry.hard_limit, now)
        return None if taken is None else f"{taken:.0f} s for {self._duration:.0f} s of sound"

    def _beyond(self, times: float, now: float) -> float | None:
        if not times or self._began is None or self._duration is None:
            return None
        taken = now - self._began
        return taken if taken > max(times * self._duration, self._retry.limit_floor) else None
