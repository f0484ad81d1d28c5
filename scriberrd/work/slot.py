"""A slot of a worker pool: one process at most, one task at a time, and the watch over both."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Literal

from scriberrd import protocol
from scriberrd.errors import TaskFailed, WorkerDied
from scriberrd.failures import FAILURES
from scriberrd.model import WorkerStatus
from scriberrd.queue import jobs
from scriberrd.work.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.config import Worker
    from scriberrd.model import Clock, Job
    from scriberrd.queue.store import Store
    from scriberrd.transcript import EngineInfo
    from scriberrd.work.limits import Limits

log = logging.getLogger(__name__)

POLL = 0.25  # seconds: how soon an interruption is noticed
AWAY = 1.0  # seconds between two looks at a worker: whoever takes longer has stood still
CANCEL_GRACE = 1.0  # seconds that a worker gets to give up a task before it is killed
RENEWAL = 2.0  # seconds between two renewals of a lease, unless a block is done

# Cancel: at once. Release: at the next block, and soon. The others: at the next block.
Interruption = Literal["cancel", "release", "preempt", "close"]


class Interrupted(Exception):
    """The task is given up: its job goes back, or ends if it is to be canceled."""


class Slot:
    """A place for one worker process, and what it is at."""

    def __init__(self, name: str, pool: Worker, store: Store, clock: Clock) -> None:
        self.name = name
        self.pool = pool
        self.job: Job | None = None
        self.retired = False  # its pool is no longer configured: it claims nothing more
        self.interruption: Interruption | None = None
        self.engine: EngineInfo | None = None  # that the run has loaded
        self.idle_since = clock.monotonic()
        self._store = store
        self._clock = clock
        self._process: Process | None = None
        self._task: jobs.Lease | None = None  # what the process is at

    def status(self) -> WorkerStatus:
        """What it is at, for people."""
        loaded: Literal["idle", "stopped"] = "idle" if self.started else "stopped"
        return WorkerStatus(
            name=self.name,
            device=self.pool.device,
            state=loaded if self.job is None else "busy",
            job=None if self.job is None else self.job.id,
            pid=None if self._process is None else self._process.pid,
            reason=None if self.in_hours() else f"outside its hours ({self.pool.hours})",
        )

    @property
    def started(self) -> bool:
        """Whether it has a process."""
        return self._process is not None

    def in_hours(self) -> bool:
        """Whether its pool works at this time of the day."""
        return self.pool.hours.include(self._clock.time())

    def unload_in(self) -> float | None:
        """Seconds until the idle process is to end; None when there is none."""
        if self._process is None:
            return None
        return self.idle_since + self.pool.idle_unload - self._clock.monotonic()

    async def unload(self) -> None:
        """End the process: the only way that gives all its memory back."""
        process, self._process, self._task = self._process, None, None
        if process is not None:
            await process.kill()

    async def run(
        self,
        task: protocol.Task,
        source: int,
        *,
        stop_timeout: float,
        limits: Limits,
        loaded: Callable[[], None],
    ) -> None:
        """Have the process transcribe what the descriptor `source` is open on.

        Every block is checkpointed as it comes, and the lease is renewed while the work moves.

        Args:
            task: what to do.
            source: a descriptor of the recording; it stays the caller's.
            stop_timeout: seconds that a block in progress gets on "release".
            limits: how long it may take.
            loaded: is called when the model is in memory.

        Raises:
            Interrupted: the task was given up, because `interruption` asked for it.
            TaskFailed: the recording could not be transcribed, or not in time.
            WorkerDied: the process ended; or it hung, and was killed.
            LeaseLost: the job was taken back.
        """
        if self._process is not None and not self._process.alive:
            await self.unload()  # it died while it was idle: that is nobody's fault
        process = self._process = self._process or await self._spawn()
        lease = self._task = jobs.Lease(task.job, task.lease)
        self.engine = None
        process.send(task, source)
        watch = Watch(self.pool, self._clock.monotonic())
        stop_at: float | None = None
        while True:
            if self.interruption == "cancel":
                await self.abandon()
                raise Interrupted
            if self.interruption is not None:
                stop_at = self._stop_after_block(process, lease, stop_at, stop_timeout)
            reply = await process.receive(POLL)
            now = self._clock.monotonic()
            limits.skip(watch.look(now))
            if stop_at is not None and now > stop_at:
                await self.abandon()
                raise Interrupted
            if reply is not None and self._hears(reply):
                watch.hear(reply, now)
                limits.hear(reply, now)
                if await self._keep(lease, reply, watch):
                    return
                if isinstance(reply, protocol.Loaded):
                    loaded()
            if (silent := watch.hung(now)) is not None:
                raise await process.stalled(silent)
            await self._mind(limits, lease, now)

    async def _spawn(self) -> Process:
        try:
            return await Process.spawn(self.name, self.pool)
        except OSError as error:
            raise TaskFailed("no_worker", error.strerror or str(error)) from error

    async def _mind(self, limits: Limits, lease: jobs.Lease, now: float) -> None:
        if (seconds := limits.warning(now)) is not None:
            log.warning("job %d is slow: it has run for %.0f s", lease.job, seconds)
            await self._store.run(jobs.slow, lease, seconds, now=self._clock.time())
        if (why := limits.exceeded(now)) is not None:
            raise TaskFailed("time_limit", why)

    def _stop_after_block(
        self, process: Process, lease: jobs.Lease, stop_at: float | None, stop_timeout: float
    ) -> float:
        """Have the process stop after the block that it is at; when patience with that ends."""
        if stop_at is None:
            process.send(protocol.Stop(job=lease.job, lease=lease.token, after_block=True))
            stop_at = math.inf
        if self.interruption != "release":
            return stop_at  # there is no hurry, and a block is worth its time
        return min(stop_at, self._clock.monotonic() + stop_timeout)

    def _hears(self, reply: protocol.Reply) -> bool:
        """Whether a reply is about the current task; takes note when it ends it."""
        if (reply.job, reply.lease) != self._task:
            return False
        if isinstance(reply, protocol.Finished | protocol.Failed | protocol.Stopped):
            self._task = None
        return True

    async def _keep(self, lease: jobs.Lease, reply: protocol.Reply, watch: Watch) -> bool:
        """Write down what the worker says; True when it was the last word."""
        store, expires = self._store, watch.expires
        match reply:
            case protocol.Heartbeat() if watch.renewal_due():
                await store.insist(jobs.renew, lease, expires=expires, progress=reply.position)
            case protocol.Probed():
                await store.insist(jobs.probed, lease, reply)
            case protocol.Loaded():
                self.engine = reply.engine
                await store.insist(jobs.loaded, lease, reply.engine)
            case protocol.BlockDone():
                now = self._clock.time()
                await store.insist(jobs.checkpoint, lease, reply.block, expires=expires, now=now)
            case protocol.Finished():
                await store.insist(jobs.transcribed, lease, reply, now=self._clock.time())
                return True
            case protocol.Failed() if reply.code not in FAILURES:  # an engine may make up its own
                detail = f"unknown failure {reply.code}: {reply.detail}"
                raise TaskFailed("internal_error", detail)
            case protocol.Failed():
                raise TaskFailed(reply.code, reply.detail)
            case protocol.Stopped():
                raise Interrupted
        return False

    async def abandon(self) -> None:
        """Have the process give up its task, if it has one; kill it when it does not obey."""
        if self._process is None or self._task is None:
            return
        job, lease = self._task
        try:
            self._process.send(protocol.Stop(job=job, lease=lease, after_block=False))
            deadline = self._clock.monotonic() + CANCEL_GRACE
            while self._task is not None and self._clock.monotonic() < deadline:
                reply = await self._process.receive(POLL)
                if reply is not None:
                    self._hears(reply)
        except WorkerDied as error:
            log.info("worker %s died while it was stopped: %s", self.name, error)
        if self._task is not None:
            await self.unload()


class Watch:
    """When a task was last heard of, and when its work last moved. Times are monotonic."""

    def __init__(self, pool: Worker, now: float) -> None:
        self._pool = pool
        self._heard = self._moved = self._renewed = self._looked = now
        self._ticks = 0

    @property
    def expires(self) -> float:
        """When the lease ends, unless the work moves before."""
        return self._moved + self._pool.stall_timeout

    def look(self, now: float) -> float:
        """How much of the time since the last look does not count, because nobody was awake.

        What froze the daemon may have frozen the worker, too, which is not the recording's fault.
        """
        away, self._looked = now - self._looked, now
        if away <= AWAY:
            return 0.0
        self._heard += away
        self._moved += away
        return away

    def hear(self, reply: protocol.Reply, now: float) -> None:
        """Take note of a reply: every one is a sign of life, not every one of progress."""
        self._heard = now
        if not isinstance(reply, protocol.Heartbeat):
            self._moved = self._renewed = now
        elif reply.ticks > self._ticks:
            self._ticks, self._moved = reply.ticks, now

    def renewal_due(self) -> bool:
        """Whether the lease is to be extended: not for every beat, that would wear the disk."""
        if self._moved - self._renewed < RENEWAL:
            return False
        self._renewed = self._moved
        return True

    def hung(self, now: float) -> str | None:
        """Why the process is to be killed, if it is."""
        if now - self._heard > self._pool.heartbeat_timeout:
            return f"silent for {now - self._heard:.0f} s"
        if now > self.expires:
            return f"no progress for {now - self._moved:.0f} s"
        return None
