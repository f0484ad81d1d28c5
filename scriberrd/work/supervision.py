"""Whether a run gets on: the worker's heartbeats, the lease, and how long all of it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd import protocol

if TYPE_CHECKING:
    from scriberrd.config import Retry, Worker

AWAY = 1.5  # seconds between two looks at the clock: whoever takes longer has stood still
UNIT = 0.5  # of its duration: how long a recording may look as if it did not get on, in one unit
RENEWAL = 2.0  # seconds between two renewals of a lease, unless a block is done


class Supervision:
    """When a run was last heard of, and when its work last moved. Times are monotonic."""

    def __init__(self, pool: Worker, retry: Retry, now: float) -> None:
        self.limits = Limits(retry)
        self._pool, self._retry = pool, retry
        self._heard = self._moved = self._renewed = self._looked = now
        self._ticks = 0
        self._patience = float(pool.stall_timeout)  # seconds without progress

    @property
    def expires(self) -> float:
        """When the lease ends, unless the work moves before."""
        return self._moved + self._patience

    def unit(self, duration: float) -> None:
        """What is done from now on of so many seconds of a recording is one unit of work.

        It may go long without a sign of progress, the longer the more there is of it; and another
        process does it, whose ticks and limits begin anew.
        """
        self._patience = self._pool.stall_timeout + UNIT * duration
        self._ticks = 0
        self.limits = Limits(self._retry, duration)

    def look(self, now: float) -> None:
        """Leave out the time since the last look if nobody was awake.

        What froze the daemon may have frozen the worker, too, which is not the recording's fault.
        """
        away, self._looked = now - self._looked, now
        if away > AWAY:
            self._heard += away
            self._moved += away
            self.limits.skip(away)

    def moved(self, now: float) -> None:
        """The work gets on."""
        self._heard = self._moved = now

    def hear(self, reply: protocol.Reply, now: float) -> None:
        """Take note of a reply: every one is a sign of life, not every one of progress."""
        self._heard = now
        self.limits.hear(reply, now)
        if isinstance(reply, protocol.Heartbeat):
            if reply.ticks <= self._ticks:
                return
            self._ticks = reply.ticks
        self._moved = now

    def renewal_due(self) -> bool:
        """Whether the lease is to be renewed: not for every beat, that would wear the disk."""
        return self._moved - self._renewed >= RENEWAL

    def renewed(self) -> float:
        """The lease is renewed: until when it holds now."""
        self._renewed = self._moved
        return self.expires

    def silent(self, now: float) -> str | None:
        """Why a worker is to be killed, if it is."""
        if now - self._heard > (limit := self._pool.heartbeat_timeout):
            return f"silent for {limit:g} s"
        return self.expired(now)

    def expired(self, now: float) -> str | None:
        """Why the lease has ended, if it has."""
        return f"no progress for {self._patience:g} s" if now > self.expires else None


class Limits:
    """The time of one run, from when the model was loaded. Times are monotonic.

    A model that is downloaded first, or a container that does not tell its duration, is nobody's
    fault: no limit applies to them.
    """

    def __init__(self, retry: Retry, duration: float | None = None) -> None:
        self._retry = retry
        self._duration = duration
        self._began: float | None = None
        self._warned = False

    def hear(self, reply: protocol.Reply, now: float) -> None:
        """Take note of what the worker says."""
        if isinstance(reply, protocol.Probed):
            self._duration = reply.duration
        elif isinstance(reply, protocol.Loaded | protocol.DiarizerLoaded):
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
        return None if taken is None else f"{taken:.0f} s for {self._duration:.0f} s of audio"

    def _beyond(self, times: float, now: float) -> float | None:
        if not times or self._began is None or self._duration is None:
            return None
        taken = now - self._began
        return taken if taken > max(times * self._duration, self._retry.limit_floor) else None
