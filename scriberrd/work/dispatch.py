"""Claim, run, end: each slot of a worker pool takes one job after the other."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Literal

from scriberrd.errors import LeaseLost, StoreError, TaskFailed, WorkerDied
from scriberrd.logs import Event
from scriberrd.model import JobState
from scriberrd.output import departures
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import probe
from scriberrd.work import bounds, capacity, fallbacks, stages
from scriberrd.work.admission import Admission, alone
from scriberrd.work.breaker import STORE
from scriberrd.work.preemption import to_preempt
from scriberrd.work.run import Interrupted, Run
from scriberrd.work.slot import Slot
from scriberrd.work.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.config import Worker
    from scriberrd.model import Job
    from scriberrd.work.machine import Machine
    from scriberrd.work.means import Means

log = logging.getLogger(__name__)

STORE_PAUSE = 5.0  # seconds before the outcome of a run is written again


class Dispatcher:
    """All slots of all pools."""

    def __init__(self, means: Means, machine: Machine) -> None:
        self._means, self._live, self._machine = means, means.live, machine
        self._store, self._clock = means.store, means.clock
        self.stopping = False
        self._serving = asyncio.TaskGroup()
        self.slots = [slot for pool in means.live.config.workers for slot in self._slots(pool)]
        self.admission = Admission(
            means.live, self.slots, means.clock, means.store.bell, means.publisher.try_folder
        )

    def _slots(self, pool: Worker) -> list[Slot]:
        cores = "1 core" if pool.threads == 1 else f"{pool.threads} cores"
        what = f"up to {pool.count} at once, each on up to {cores}"
        log.info("worker pool %s on %s: recordings: %s", pool.name, pool.device, what)
        return [
            Slot(f"{pool.name}-{number}" if pool.count > 1 else pool.name, pool, self._clock)
            for number in range(1, pool.count + 1)
        ]

    def reconfigure(self) -> None:
        """Work by the configuration that is another one now.

        What runs goes on, except in a pool that is changed or gone: there it ends at its next
        block, and goes on where it is claimed next.
        """
        config = self._live.config
        self.admission.breaker.reset("the configuration is another one")
        serving = [slot for slot in self.slots if not slot.retired]
        kept = {slot.pool for slot in serving}.intersection(config.workers)
        for slot in serving:
            if slot.pool not in kept:
                slot.retired = True
                _yield(slot, "close", "the configuration of its pool has changed")
        for pool in config.workers:
            for slot in self._slots(pool) if pool not in kept else []:
                self.slots.append(slot)
                self._serving.create_task(self._serve(slot))
        self._store.bell.ring()

    def stop(self) -> None:
        """Claim nothing more; let the running tasks end at their next block."""
        self.stopping = True
        for slot in self.slots:
            if slot.run is not None:
                slot.run.interrupt("release")
        self._store.bell.ring()

    async def run(self) -> None:
        """Work until `stop` was called and all runs have ended."""
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self._watch())
            async with self._serving:
                for slot in self.slots:
                    self._serving.create_task(self._serve(slot))
            watcher.cancel()

    async def _watch(self) -> None:
        """Interrupt what is canceled, out of its hours, or in the way of an urgent job."""
        while True:
            seen, now = self._store.bell.rings, self._clock.time()
            try:
                leases = await self._store.read(jobs.cancel_requested)
                preempted = await self._to_preempt(now)
            except StoreError as error:
                log.error("can't read which jobs to interrupt: %s", error)  # noqa: TRY400 - expected
                leases, preempted = [], []
            for slot in self.slots:
                if slot.run is not None and slot.run.lease in leases:
                    slot.run.interrupt("cancel")
                elif not slot.in_hours():
                    _yield(slot, "close", "the hours of its pool are over")
            if seen == self._store.bell.rings:  # otherwise somebody may have claimed meanwhile
                for slot in preempted:
                    _yield(slot, "preempt", "an urgent job waits")
            look = _soonest(*(slot.pool.hours.look_again(now) for slot in self.slots))
            await self._store.bell.wait(seen, look)

    async def _to_preempt(self, now: float) -> list[Slot]:
        longest, limit = self._live.config.retry.backoff_max, len(self.slots)
        urgent = await self._store.read(jobs.urgent_due, now=now, longest=longest, limit=limit)
        if not urgent:
            return []
        latest = {(job.id, job.lease): job for job in await self._store.read(queries.processing)}
        for slot in self.slots:
            if slot.run is not None:  # somebody may have given it another priority
                slot.run.job = latest.get(slot.run.lease, slot.run.job)
        pauses = await self._store.read(jobs.paused)
        able = [slot for slot in self.slots if self.admission.closed(slot) == 0]
        first = await self._store.read(jobs.urgent_next, now=now)
        paused = [pause.scope for pause in pauses]
        return to_preempt(able, urgent, paused, alone=alone(first))

    async def _serve(self, slot: Slot) -> None:
        try:
            while not (self.stopping or slot.retired):
                seen = self._store.bell.rings
                pause: float | None
                try:
                    pause = self.admission.closed(slot)
                    if pause == 0:
                        if await self._run_next(slot):
                            continue
                        due = await self._store.read(jobs.next_due, self._clock.time())
                        pause = _soonest(due, self.admission.next_output())
                except jobs.NotNow:
                    pause = None
                except StoreError as error:
                    self.admission.breaker.trip(STORE, "store_failed", str(error))
                    pause = self.admission.closed(slot)
                left = slot.unload_in()
                if left is not None and left <= 0:
                    await slot.unload()
                    left = None
                look = slot.pool.hours.look_again(self._clock.time())
                await self._store.bell.wait(seen, _soonest(pause, left, look))
        finally:
            await slot.unload()
            self.slots.remove(slot)
            self._store.bell.ring()

    async def _run_next(self, slot: Slot) -> bool:
        """Claim a job and run it to its end; False when none is due."""
        async with self.admission.turn(slot):
            job = await self._claim(slot) if self.admission.closed(slot) == 0 else None
            if job is None:
                return False
            run = slot.run = self._begin(slot, job)
            if self.stopping or slot.retired:  # meanwhile
                run.interrupt("release")
            self.admission.enter(slot, job)
        capacity.deal(self.slots, self._machine)
        with slot.about():
            await self._to_its_end(slot, run)
        return True

    async def _to_its_end(self, slot: Slot, run: Run) -> None:
        job = run.job
        log.info("started on worker %s", slot.name, extra={"event": Event.JOB_STARTED})
        try:
            if alone(job):
                log.info("runs alone: it has killed %d workers", job.deaths)
                await slot.unload()
            ended = await self._run(slot, run)
            if ended.state is JobState.COMPLETED:
                self.admission.done(slot, job)
                *_, latest = await self._store.read(queries.executions, ended.id)
                tell(ended, run=latest)
        except LeaseLost as error:
            log.info("%s; its result is dropped", error)
        finally:
            if alone(job):
                await slot.unload()
            await slot.leave()
            capacity.deal(self.slots, self._machine)
            self.admission.leave(job)

    async def _claim(self, slot: Slot) -> Job | None:
        breaker = self.admission.breaker
        self.admission.try_outputs()
        if breaker.reopened():
            await self._store.run(jobs.readmit)
        job = await self._store.run(
            jobs.claim,
            slot.name,
            admit=functools.partial(self.admission.admit, slot),
            now=self._clock.time(),
            expires=self._clock.monotonic() + slot.pool.stall_timeout,
            longest=self._live.config.retry.backoff_max,
            pool=slot.pool.name,
            ageing=self._live.config.daemon.ageing,
            like=slot.prefers(),
        )
        if job is None and breaker.outages():
            if breaker.out(STORE):
                await self._store.run(probe)
                breaker.close([STORE])
            if not (await self._store.read(queries.counts))[JobState.QUEUED]:
                breaker.rest()
        return job

    def _begin(self, slot: Slot, job: Job) -> Run:
        return Run(
            job,
            slot.pool,
            self._live.config,
            store=self._store,
            clock=self._clock,
            worker=slot.worker,
            loaded=functools.partial(self.admission.loaded, slot, job),
            held_up=functools.partial(self.admission.held_up, slot, job),
        )

    async def _run(self, slot: Slot, run: Run) -> Job:
        """Run a claimed job, and bring it to the state that the outcome asks for."""
        job, lease, died = run.job, run.lease, None
        try:
            return await run.through(stages.run(run, self._means))
        except Interrupted:
            outcome = "preempted" if run.interruption == "preempt" else "released"
            job = await self._end(functools.partial(jobs.release, outcome=outcome), lease)
            tell(job, run.interruption or "close")
            return job
        except WorkerDied as error:
            failure, detail, died = error.failure, str(error), error
        except TaskFailed as error:
            failure, detail = error.failure, error.detail
        except LeaseLost:
            raise
        except StoreError as error:
            log.error("%s", error)  # noqa: TRY400 - expected, no traceback
            failure, detail = "store_failed", error.code
        except Exception:
            log.exception("an error inside scriberrd")
            failure, detail = "internal_error", ""
        job = await self._fail(slot, run, failure, detail, died)
        tell(job)
        return job

    async def _fail(
        self, slot: Slot, run: Run, failure: str, detail: str, died: WorkerDied | None
    ) -> Job:
        job = run.job
        if (away := await self._means.unavailable(job, failure)) is not None:
            failure, detail = away.failure, away.detail
        elif failure == "unsupported_setting" and bounds.is_set_beside(job, detail):
            failure = "bad_sidecar"
        elif (early := await self._means.too_early(job, failure)) is not None:
            failure, detail = early, failure
        self.admission.failed(slot, job, failure, detail)
        step = None
        if failure == "out_of_memory" and not run.unit:  # which goes down by itself
            step = fallbacks.next_step(job, slot.pool, run.engine)
        if step is not None:
            log.warning("continues with a fallback: memory ran out: %s", step)
        fail = functools.partial(jobs.fail, code=failure, detail=detail, died=died, step=step)
        leaving = departures.on_failure(self._live.config, job)
        fail = functools.partial(fail, retry=self._live.config.retry, leaving=leaving)
        return await self._end(fail, run.lease)

    async def _end(self, move: Callable[..., Job], lease: jobs.Lease) -> Job:
        """Write the outcome of a run: as often as it takes, or the job would stay held."""
        while True:
            try:
                return await self._store.run(move, lease, now=self._clock.time())
            except StoreError as error:
                log.error("can't be put back into the queue: %s", error)  # noqa: TRY400
                if self.stopping:
                    raise  # the next daemon finds the job held, and releases it
            await asyncio.sleep(STORE_PAUSE)


def _yield(slot: Slot, how: Literal["close", "preempt"], why: str) -> None:
    if slot.run is not None and slot.run.interrupt(how):
        with slot.about():
            log.info("will yield worker %s at the next block: %s", slot.name, why)


def _soonest(*seconds: float | None) -> float | None:
    return min((one for one in seconds if one is not None), default=None)
