"""What of the machine is at fault right now, and when it is tried again.

A fault of the machine would fail one job after the other. So what it concerns is out: nothing that
needs it is begun before the time of the next try; then one job tries, and when it gets through the
outage is over. It is all in memory: a new daemon tries at once.
"""

from __future__ import annotations

import logging
import math
import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from scriberrd.failures import Part
from scriberrd.logs import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scriberrd.config import Retry
    from scriberrd.model import Clock

log = logging.getLogger(__name__)


SHORTEST = 0.1  # seconds between two tries, even where `backoff` is none
NAMES: dict[Part, str] = {
    "pool": "worker pool {}",
    "model": "model {}",
    "diarizer": "diarizer {}",
    "output": "output folder of inbox {}",
    "inbox": "inbox {}",
    "store": "{}",
}


class Key(NamedTuple):
    """What can be out."""

    part: Part
    name: str  # for people
    which: str = ""  # what else tells it from others of that name; private

    def __str__(self) -> str:
        return NAMES[self.part].format(self.name)


STORE = Key("store", "database")


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is out, for people."""

    part: Part
    name: str
    code: str  # a key of FAILURES
    detail: str
    since: float
    next_try: float | None  # None while a job tries


class _Open:
    """An outage in progress. Times are monotonic."""

    def __init__(self, since: float, backoff: float) -> None:
        self.since, self.backoff = since, backoff
        self.probe_at = 0.0
        self.job: int | None = None  # that tries
        self.code = self.detail = ""


class Breaker:
    """All outages of a daemon."""

    def __init__(
        self, retry: Callable[[], Retry], clock: Clock, changed: Callable[[], None]
    ) -> None:
        """Make it.

        Args:
            retry: gives its section of the configuration, with the backoff.
            clock: where time comes from.
            changed: is called when something that waited may go on.
        """
        self._retry, self._clock, self._changed = retry, clock, changed
        self._open: dict[Key, _Open] = {}
        self._reopened = True  # a new breaker knows nothing of what an earlier one put off

    def wait(self, key: Key) -> float:
        """Seconds until this may be tried; 0: now; math.inf: when the job that tries has ended."""
        outage = self._open.get(key)
        if outage is None:
            return 0.0
        if outage.job is not None:
            return math.inf
        return max(0.0, outage.probe_at - self._clock.monotonic())

    def out(self, key: Key) -> bool:
        """Whether this is out, tried or not."""
        return key in self._open

    def reopened(self) -> bool:
        """Whether what was put off is due, as it was not when this was last asked."""
        reopened, self._reopened = self._reopened, False
        return reopened

    def reset(self, why: str) -> None:
        """Call nothing out any more."""
        self._drop(list(self._open), why)

    def try_now(self) -> None:
        """Try whatever is out without waiting any longer: somebody may have mended it."""
        now = self._clock.monotonic()
        for outage in self._open.values():
            outage.probe_at = min(outage.probe_at, now)
        self._reopened = True
        self._changed()

    def waits(self, part: Part) -> dict[Key, float]:
        """What of this kind is out, and in how many seconds it may be tried."""
        return {key: self.wait(key) for key in self._open if key.part == part}

    def trip(self, key: Key, code: str, detail: str) -> None:
        """This is out because of a fault, or still is, when it was tried again in vain."""
        now = self._clock.monotonic()
        outage = self._open.get(key)
        if outage is None:
            outage = self._open[key] = _Open(self._clock.time(), self._retry().backoff)
            extra = {"event": Event.OUTAGE}
            log.warning("outage: %s: %s: %s", key, code, detail or "-", extra=extra)
        elif outage.job is None and now < outage.probe_at:
            return  # a job that had begun before
        else:
            outage.backoff = min(outage.backoff * 2.0, self._retry().backoff_max)
            self._reopened = True  # those that waited for the end of the try wait for the next
        # Half of it fixed, half of it random: what failed together is tried apart.
        backoff = max(outage.backoff, SHORTEST)
        outage.probe_at = now + backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
        outage.job, outage.code, outage.detail = None, code, detail
        log.debug("%s is tried in %.1f s", key, outage.probe_at - now)
        self._changed()

    def enter(self, keys: Iterable[Key], job: int) -> None:
        """A job has begun that needs these: of those that are out it is the one that tries."""
        for key in keys:
            outage = self._open.get(key)
            if outage is not None and outage.job is None:
                outage.job = job

    def close(self, keys: Iterable[Key]) -> None:
        """These work."""
        for key in keys:
            if self._open.pop(key, None) is not None:
                log.info("outage over: %s", key, extra={"event": Event.OUTAGE_OVER})
                self._reopened = True
                self._changed()

    def rest(self) -> None:
        """Nothing is queued: whether what is out still is, nobody is there to try."""
        untried = [key for key, outage in self._open.items() if outage.job is None]
        self._drop(untried, "nothing waits for it")

    def _drop(self, keys: list[Key], why: str) -> None:
        for key in keys:
            del self._open[key]
            log.info("outage over: %s: %s", key, why, extra={"event": Event.OUTAGE_OVER})
            self._reopened = True

    def leave(self, job: int) -> None:
        """A job has ended: what it did not get to try, the next one does."""
        for outage in self._open.values():
            if outage.job == job:
                outage.job = None
                self._reopened = True
                self._changed()

    def outages(self) -> tuple[Outage, ...]:
        """What is out now."""
        ahead = self._clock.time() - self._clock.monotonic()
        return tuple(
            Outage(
                part=key.part,
                name=key.name,
                code=outage.code,
                detail=outage.detail,
                since=outage.since,
                next_try=None if outage.job is not None else outage.probe_at + ahead,
            )
            for key, outage in self._open.items()
        )
