"""Who may begin which job now.

Nobody begins what a fault of the machine keeps from being done (see breaker.py), and a job that has
cost two workers their lives has its pool to itself: it begins when nobody else is at work there,
and nobody begins beside it. While it is the next one it keeps its turn, so that neither side
starves: those behind it wait until the others have ended.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from typing import TYPE_CHECKING

from scriberrd.errors import StoreError
from scriberrd.failures import FAILURES, Part
from scriberrd.model import short
from scriberrd.output import staging
from scriberrd.work import fallbacks
from scriberrd.work.breaker import STORE, Breaker, Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from scriberrd.config import Inbox, Live
    from scriberrd.model import Clock, Job
    from scriberrd.queue.store import Bell
    from scriberrd.work.slot import Slot

DEATHS = 2  # from then on a job runs alone

# Which parts of the machine are known to work when the model is loaded, and when all is done.
LOADED: tuple[Part, ...] = ("pool", "model", "inbox", "store")
DONE: tuple[Part, ...] = ("diarizer", "output", "inbox", "store")

TRIAL = 0  # no job: an output folder is tried without one


class Admission:
    """What all slots ask before they begin a job, and tell how it went."""

    def __init__(
        self,
        live: Live,
        slots: Sequence[Slot],
        clock: Clock,
        bell: Bell,
        try_output: Callable[[Inbox], Awaitable[None]],
    ) -> None:
        self._slots, self._bell, self._try_output = slots, bell, try_output
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._live = live
        self.breaker = Breaker(lambda: live.config.retry, clock, bell.ring)
        self._trying: dict[Key, asyncio.Task[None]] = {}  # output folders

    def turn(self, slot: Slot) -> asyncio.Lock:
        """To be held while a slot claims: one at a time in each pool."""
        return self._turns[slot.pool.name]

    def closed(self, slot: Slot) -> float | None:
        """Seconds for which this slot may claim nothing; 0: it may; None: until the bell rings."""
        if not slot.in_hours():
            return None  # the hours are looked at beside this
        if any(alone(other.job) for other in self._others(slot)):
            return None
        if slot.retired or (not slot.started and any(other.retired for other in self._slots)):
            return None  # both processes might not fit into memory
        wait = max(self.breaker.wait(key) for key in (STORE, _pool(slot)))
        return None if wait == math.inf else wait

    def admit(self, slot: Slot, job: Job) -> float:
        """What `jobs.claim` asks; from another thread, so it only looks."""
        wait = max(self.breaker.wait(key) for key in self._keys(slot, job).values())
        if wait > 0:  # while another one tries: until that has ended
            return min(wait, self._live.config.retry.backoff_max)
        others = self._others(slot)
        if not slot.has_model_of(job) and any(
            other.job is None and other.has_model_of(job) for other in others
        ):
            return math.inf  # that one takes it, or another job: then this one is asked again
        busy = any(other.job is not None for other in others)
        return math.inf if alone(job) and busy else 0.0

    def enter(self, slot: Slot, job: Job) -> None:
        """A slot has claimed a job."""
        keys = self._keys(slot, job)
        del keys["output"]  # that is tried without a job: it would take as long as a recording
        self.breaker.enter(keys.values(), job.id)

    def loaded(self, slot: Slot, job: Job) -> None:
        """The model of a job is loaded: much of the machine works."""
        slot.load(job)
        self._close(slot, job, LOADED)

    def done(self, slot: Slot, job: Job) -> None:
        """A job is completed."""
        self._close(slot, job, DONE)

    def next_output(self) -> float | None:
        """Seconds until an output folder is to be tried; None: none is out, or not being tried."""
        waits = [wait for wait in self.breaker.waits("output").values() if wait < math.inf]
        return min(waits, default=None)

    def try_outputs(self) -> None:
        """Try the output folders that are out, if it is time: a job would take hours to do so.

        Nobody waits for that: one that does not answer holds up no claim.
        """
        for key, wait in self.breaker.waits("output").items():
            if wait == 0:
                self.breaker.enter([key], TRIAL)
                self._trying[key] = asyncio.create_task(self._try(key))

    async def _try(self, key: Key) -> None:
        inbox = self._live.config.inbox(key.name)
        try:
            if inbox is not None:
                await self._try_output(inbox)
        except OSError as error:
            detail = error.strerror or type(error).__name__
            self.breaker.trip(key, staging.failure_code(error), detail)
        except StoreError as error:
            self.breaker.trip(key, "output_unwritable", str(error))
        else:
            self.breaker.close([key])
        finally:
            self._trying.pop(key, None)

    def failed(self, slot: Slot, job: Job, code: str, detail: str) -> None:
        """A run failed; before the job is put back, or the next slot would claim it."""
        if (part := FAILURES[code].part) is not None:
            self.breaker.trip(self._keys(slot, job)[part], code, detail)

    def held_up(self, slot: Slot, job: Job) -> None:
        """A run has outlived its lease while it publishes: what it writes to is out until it ends.

        Nobody tries meanwhile: that the folder can be written does not mean that the run gets on.
        """
        output = self._keys(slot, job)["output"]
        if not self.breaker.out(output):
            self.breaker.trip(output, "output_unwritable", "a publication does not get on")
        self.breaker.enter([output], job.id)

    def leave(self, job: Job) -> None:
        """A slot is done with a job, however it ended."""
        self.breaker.leave(job.id)
        self._bell.ring()  # somebody may have waited for the slot rather than for the job

    def _close(self, slot: Slot, job: Job, parts: Sequence[Part]) -> None:
        keys = self._keys(slot, job)
        self.breaker.close([keys[part] for part in parts if part in keys])

    def _others(self, slot: Slot) -> list[Slot]:
        return [one for one in self._slots if one.pool is slot.pool and one is not slot]

    def _keys(self, slot: Slot, job: Job) -> dict[Part, Key]:
        """What of the machine this job needs in this slot."""
        pool, inbox = slot.pool, self._live.config.inbox(job.inbox)
        settings, _ = fallbacks.adapted(job, pool)
        model = f"{settings.engine} {short(settings.model)}"
        keys: dict[Part, Key] = {
            "pool": _pool(slot),
            "model": Key("model", model, settings.model),
            "output": Key("output", job.inbox, str(inbox and inbox.output)),
            "inbox": Key("inbox", job.inbox),
            "store": STORE,
        }
        if job.settings.diarize == "required":  # the others do without
            what = f"{settings.diarizer} {short(settings.diarization_model)}"
            keys["diarizer"] = Key("diarizer", what, settings.diarization_model)
        return keys


def alone(job: Job | None) -> bool:
    """Whether a job may only run where nobody else does."""
    return job is not None and job.deaths >= DEATHS


def _pool(slot: Slot) -> Key:
    return Key("pool", slot.pool.name)
