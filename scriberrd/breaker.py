"""What of the machine is at fault right now, and when it is tried again.

A fault of the machine would fail one job after the other. So what it concerns is paused: nothing
that needs it is begun before the time of the next try; then one job tries, and when it gets
through the pause ends. It is all in memory: a new daemon tries at once.
"""

from __future__ import annotations

import logging
import math
import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from scriberrd.failures import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scriberrd.config import Retry
    from scriberrd.model import Clock

log = logging.getLogger(__name__)


class Key(NamedTuple):
    """What can be paused."""

    part: Part
    name: str  # for people
    which: str = ""  # what else tells it from others of that name; private


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is paused, for people."""

    part: Part
    name: str
    code: str  # a key of FAILURES
    detail: str
    since: float
    next_try: float | None  # None while a job tries


class _Open:
    """A pause in progress. Times are monotonic."""

    def __init__(self, since: float, backoff: float) -> None:
        self.since, self.backoff = since, backoff
        self.probe_at = 0.0
        self.job: int | None = None  # that tries
        self.code = self.detail = ""


class Breaker:
    """All pauses of a daemon."""

    def __init__(self, retry: Retry, clock: Clock, changed: Callable[[], None]) -> None:
        """Make it.

        Args:
            retry: its section of the configuration, with the backoff.
            clock: where time comes from.
            changed: is called when something that waited may go on.
        """
        self._retry, self._clock, self._changed = retry, clock, changed
        self._open: dict[Key, _Open] = {}
        self._reopened = True  # a new breaker knows nothing of what an earlier one paused

    def wait(self, key: Key) -> float:
        """Seconds until this may be tried; 0: now; math.inf: when the job that tries has ended."""
        pause = self._open.get(key)
        if pause is None:
            return 0.0
        if pause.job is not None:
            return math.inf
        return max(0.0, pause.probe_at - self._clock.monotonic())

    def paused(self, key: Key) -> bool:
        """Whether this is paused, tried or not."""
        return key in self._open

    def reopened(self) -> bool:
        """Whether what was put off is due, as it was not when this was last asked."""
        reopened, self._reopened = self._reopened, False
        return reopened

    def try_now(self) -> None:
        """Try whatever is paused without waiting any longer: somebody may have mended it."""
        now = self._clock.monotonic()
        for pause in self._open.values():
            pause.probe_at = min(pause.probe_at, now)
        self._reopened = True
        self._changed()

    def trip(self, key: Key, code: str, detail: str) -> None:
        """Pause this because of a fault, or, when it was tried again in vain, go on pausing."""
        now = self._clock.monotonic()
        pause = self._open.get(key)
        if pause is None:
            pause = self._open[key] = _Open(self._clock.time(), self._retry.backoff)
            log.warning("%s %s is paused: %s: %s", key.part, key.name, code, detail or "-")
        elif pause.job is None and now < pause.probe_at:
            return  # a job that had begun before
        else:
            pause.backoff = min(pause.backoff * 2.0, self._retry.backoff_max)
        # Half of it fixed, half of it random: what failed together is tried apart.
        pause.probe_at = now + pause.backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
        pause.job, pause.code, pause.detail = None, code, detail
        log.debug("%s %s is tried in %.1f s", key.part, key.name, pause.probe_at - now)
        self._changed()

    def enter(self, keys: Iterable[Key], job: int) -> None:
        """A job has begun that needs these: of those that are paused it is the one that tries."""
        for key in keys:
            pause = self._open.get(key)
            if pause is not None and pause.job is None:
                pause.job = job

    def close(self, keys: Iterable[Key]) -> None:
        """These work."""
        for key in keys:
            if self._open.pop(key, None) is not None:
                log.info("%s %s goes on", key.part, key.name)
                self._reopened = True
                self._changed()

    def leave(self, job: int) -> None:
        """A job has ended: what it did not get to try, the next one does."""
        for pause in self._open.values():
            if pause.job == job:
                pause.job = None
                self._changed()

    def outages(self) -> tuple[Outage, ...]:
        """What is paused now."""
        ahead = self._clock.time() - self._clock.monotonic()
        return tuple(
            Outage(
                part=key.part,
                name=key.name,
                code=pause.code,
                detail=pause.detail,
                since=pause.since,
                next_try=None if pause.job is not None else pause.probe_at + ahead,
            )
            for key, pause in self._open.items()
        )
