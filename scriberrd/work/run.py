"""One run of a job: the loop that reads its messages.

Everybody else only sends: a stage has a task for the worker, the worker answers or dies, somebody
interrupts, a stage ends. The loop alone decides what follows; without a message it asks the clocks.
A stage says by itself only that it begins to publish (`save`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
from typing import TYPE_CHECKING, Any, TypeVar

from scriberrd import protocol
from scriberrd.errors import LeaseLost, StoreError, TaskFailed, WorkerDied
from scriberrd.files.folders import Heartbeat
from scriberrd.logs import Event, note
from scriberrd.model import Stage, short
from scriberrd.queue import jobs
from scriberrd.work import bounds
from scriberrd.work.errands import Errands, failure
from scriberrd.work.messages import PRECEDENCE, Errand, Messages
from scriberrd.work.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from scriberrd.config import Config, Worker
    from scriberrd.model import Clock, Job
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Diarization, EngineInfo
    from scriberrd.work.messages import Interruption, Message
    from scriberrd.work.process import Kind, Process

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK = 1.0  # seconds without a message after which the clocks are looked at
SAVE_GRACE = 5.0  # seconds that a publication gets when the daemon stops
WORKING = {Stage.TRANSCRIBING, Stage.DIARIZING}


class Interrupted(Exception):
    """The run is given up: its job goes back, or ends if it is to be canceled."""


class Run:
    """One run of a job in a slot."""

    def __init__(
        self,
        job: Job,
        pool: Worker,
        config: Config,
        *,
        store: Store,
        clock: Clock,
        worker: Callable[[Kind], Awaitable[Process]],
        loaded: Callable[[], None],
        held_up: Callable[[], None],
    ) -> None:
        """Make it.

        Args:
            job: as it was claimed.
            pool: where it runs.
            config: as it is when the run begins.
            store: where what is done is kept.
            clock: where time comes from.
            worker: gives a living process of a kind.
            loaded: is called when the model is in memory.
            held_up: is called while a publication outlives its lease.
        """
        self.job, self.pool = job, pool
        self.lease = jobs.Lease(job.id, job.lease)
        self.share = int(pool.threads)  # how many cores it may use now
        self.step: str | None = None  # what its worker does before it gets on, for people
        self.interruption: Interruption | None = None
        self.engine: EngineInfo | None = None  # that it has loaded
        self._store, self._clock = store, clock
        self._loaded, self._held_up = loaded, held_up
        self._inbox = config.inbox(job.inbox)
        self._stop_timeout = config.daemon.stop_timeout
        self._supervision = Supervision(pool, config.retry, clock.monotonic())
        self._messages = Messages()
        self._errands = Errands(self.lease, worker, self._messages)
        self.stage = Stage.PREPARING
        self._began = math.nan  # when it began to transcribe, on the monotonic clock
        self._position: float | None = None  # seconds of the recording that are transcribed
        self._diarized: float | None = None  # 0 to 1
        self._stopping = False  # the worker was told to stop after the block that it is at
        self._releasing = False  # the daemon stops, whatever else interrupts the run
        self._patience = math.inf  # until when an interrupted run may go on
        self.heartbeat = Heartbeat()  # of the publication, and of whoever reads the recording
        self._beats = 0

    @property
    def unit(self) -> bool:
        """Whether it is at something that can't be interrupted without beginning anew."""
        return self.stage is Stage.DIARIZING

    def interrupt(self, how: Interruption) -> bool:
        """Ask it to end; False if it was asked before, with as much reason."""
        if how == "release" and not self._releasing:
            self._releasing = True
            self._messages.put_nowait(how)
        if PRECEDENCE[how] <= PRECEDENCE[self.interruption]:
            return False
        self.interruption = how
        self._messages.put_nowait(how)
        return True

    def deal(self, share: int) -> None:
        """Use so many cores from now on."""
        if share != self.share:
            self.share = share
            job, token = self.lease
            self._messages.put_nowait(protocol.Share(job=job, lease=token, clips=share))

    async def transcribe(self, task: protocol.Task, source: int) -> None:
        """Have the worker do a task; for a stage.

        Every block is checkpointed as it comes, and the lease is renewed while the work moves.

        Args:
            task: what to do.
            source: a descriptor of the recording; it stays the caller's.
        """
        await self._messages.ask(task, source)

    async def diarize(self, task: protocol.Diarize, source: int) -> Diarization:
        """Have the other worker tell the speakers apart; for a stage. As `transcribe`.

        It is one unit of work: a run that is given up meanwhile begins it anew, and only a cancel
        or the end of the daemon has it given up.

        Raises:
            TaskFailed: it could not be done, or not in time.
            WorkerDied: the process ended; or it hung, and was killed.
        """
        found = await self._messages.ask(task, source)
        assert found is not None  # noqa: S101 - for the type checker
        return found

    def prepare(self) -> None:
        """From here to its next errand the run may be given up at any moment; for a stage."""
        self._supervision.moved(self._clock.monotonic())
        self._enter(Stage.PREPARING)

    async def save(self, *, merged: bool = False) -> Heartbeat:
        """From here on the run publishes; for a stage, which is to beat meanwhile.

        Args:
            merged: words and speakers are brought together first.
        """
        self._supervision.unit(0.0)
        self._supervision.moved(self._clock.monotonic())
        self._enter(Stage.SAVING)
        saving = functools.partial(jobs.saving, stage=Stage.MERGING if merged else Stage.SAVING)
        await self._store.insist(saving, self.lease, expires=self._supervision.renewed())
        return self.heartbeat

    async def through(self, stages: Coroutine[Any, Any, T]) -> T:
        """Go through the stages to their end, or to that of the run.

        Raises:
            Interrupted: it was given up, because `interruption` asked for it.
            TaskFailed: the recording could not be transcribed, or not in time.
            WorkerDied: the process ended; or it hung, and was killed.
            LeaseLost: the job was taken back.
            StoreError: the database can't be used.
        """
        going = self._messages.follow(stages)
        try:
            while True:
                message = await self._next()
                if going.done():
                    return going.result()
                now = self._clock.monotonic()
                self._supervision.look(now)
                try:
                    await self._heed(message, now)
                    self._give_way(now)
                    await self._supervise(now)
                except (TaskFailed, WorkerDied) as error:
                    await self._errands.fail(error)
        finally:
            await self._errands.abandon()
            going.cancel()
            await asyncio.wait({going})

    async def _next(self) -> Message | None:
        """The next message; None when it is time to look at the clocks."""
        try:
            async with asyncio.timeout(min(LOOK, self._patience - self._clock.monotonic())):
                return await self._messages.get()
        except TimeoutError:
            return None

    async def _heed(self, message: Message | None, now: float) -> None:
        if isinstance(message, Errand):
            if self.interruption is not None:
                raise Interrupted
            await self._begin(message)
        elif isinstance(message, protocol.Share):
            if self.stage is Stage.TRANSCRIBING and (process := self._errands.at_work):
                process.send(message)
        elif reply := self._errands.heard(message):
            self._supervision.hear(reply, now)
            await self._keep(reply)

    async def _begin(self, errand: Errand) -> None:
        """Give a worker its task."""
        await self._errands.give(errand, self.share)
        task = errand.task
        self._supervision.moved(self._clock.monotonic())
        if not isinstance(task, protocol.Diarize):
            self._enter(Stage.TRANSCRIBING)
            note(stage=Stage.PREPARING)  # to people it is so until the model is loaded
            return
        self._enter(Stage.DIARIZING)
        log.info("tells speakers apart", extra={"event": Event.JOB_DIARIZING})
        self._supervision.unit(task.duration)
        expires = self._supervision.renewed()
        await self._store.insist(jobs.diarizing, self.lease, expires=expires)

    async def _keep(self, reply: protocol.Reply) -> None:
        """Write down what the worker says."""
        store, lease, now = self._store, self.lease, self._clock.time()
        match reply:
            case protocol.Heartbeat():
                self._at(reply.step)
                if self.unit:
                    self._diarized = reply.done
                else:
                    self._position = reply.position
            case protocol.Probed():
                await store.insist(jobs.probed, lease, reply)
                bounds.check_duration(self._inbox, reply.duration)
            case protocol.Loaded():
                self.engine = engine = reply.engine
                note(stage=self.stage)
                self._began = self._clock.monotonic()
                what = f"transcribing with {short(engine.model)} on {engine.device}"
                extra = {"event": Event.JOB_TRANSCRIBING}
                log.info("%s, %s", what, engine.compute_type, extra=extra)
                spent = {"download": reply.download_seconds, "load": reply.load_seconds}
                await store.insist(jobs.loaded, lease, engine, **spent)
                self.step = None
                self._loaded()
            case protocol.BlockDone():
                self._position, expires = reply.block.end, self._supervision.renewed()
                spent = {"seconds": round(self._clock.monotonic() - self._began, 3)}
                await store.insist(
                    jobs.checkpoint, lease, reply.block, expires=expires, now=now, **spent
                )
            case protocol.Finished():
                await store.insist(jobs.transcribed, lease, reply, now=now)
                self._done(None)
            case protocol.Diarized():
                self._done(reply.diarization)
            case protocol.Failed():
                raise failure(reply)
            case protocol.Stopped():
                raise Interrupted

    def _at(self, step: str | None) -> None:
        if step not in {None, self.step}:
            log.info("%s", step, extra={"event": Event.JOB_PREPARING})
        self.step = step

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self.step = None
        note(stage=stage)

    def _done(self, found: Diarization | None) -> None:
        """The errand is done."""
        self._enter(Stage.SAVING)
        self._patience = math.inf
        self._position = self._diarized = None
        self._errands.done(found)

    def _give_way(self, now: float) -> None:
        """Do what the interruption asks for."""
        how, working = self.interruption, self.stage in WORKING
        if how is None:
            return
        if self.stage is Stage.PREPARING or (working and how == "cancel"):
            raise Interrupted
        process = self._errands.at_work
        if self.stage is Stage.TRANSCRIBING and process and not self._stopping:
            self._errands.stop(process, after_block=True)
            self._stopping = True
        if self._releasing:  # for the others there is no hurry: a block or unit is worth its time
            grace = self._stop_timeout if working else SAVE_GRACE
            self._patience = min(self._patience, now + grace)
        if now >= self._patience:
            raise Interrupted

    async def _supervise(self, now: float) -> None:
        """See whether it gets on."""
        supervision = self._supervision
        if self._beats != self.heartbeat.beats:
            self._beats = self.heartbeat.beats
            supervision.moved(now)
        match self.stage:
            case Stage.TRANSCRIBING | Stage.DIARIZING if process := self._errands.at_work:
                if (why := supervision.silent(now)) is not None:
                    raise await process.stalled(why)
                if (seconds := supervision.limits.warning(now)) is not None:
                    log.warning("is slow: running for %.0f s", seconds)
                    await self._store.run(jobs.slow, self.lease, seconds, now=self._clock.time())
                if (why := supervision.limits.exceeded(now)) is not None:
                    raise TaskFailed("time_limit", why)
            case Stage.SAVING if supervision.expired(now):
                self._held_up()
            case Stage.PREPARING if (why := supervision.expired(now)) is not None:
                raise TaskFailed("inbox_unavailable", why)
        if supervision.renewal_due():
            await self._renew()

    async def _renew(self) -> None:
        expires = self._supervision.renewed()
        renew = functools.partial(
            jobs.renew, expires=expires, progress=self._position, diarized=self._diarized
        )
        if self.stage is not Stage.SAVING:
            await self._store.insist(renew, self.lease)
            return
        # A publication that has just completed the job, or has lost it, says so itself.
        with contextlib.suppress(LeaseLost, StoreError):
            await self._store.run(renew, self.lease)
