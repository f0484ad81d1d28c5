"""A slot of a worker pool: one process at most, and one run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scriberrd.errors import TaskFailed
from scriberrd.model import WorkerStatus
from scriberrd.work.process import Process

if TYPE_CHECKING:
    from scriberrd.config import Worker
    from scriberrd.model import Clock, Job
    from scriberrd.work.run import Run


class Slot:
    """A place for one worker process, which outlives the runs in it."""

    def __init__(self, name: str, pool: Worker, clock: Clock) -> None:
        self.name = name
        self.pool = pool
        self.run: Run | None = None
        self.retired = False  # its pool is no longer configured: it claims nothing more
        self._idle_since = clock.monotonic()
        self._clock = clock
        self._process: Process | None = None

    @property
    def job(self) -> Job | None:
        """What runs here."""
        return None if self.run is None else self.run.job

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

    async def worker(self) -> Process:
        """A living process, started if there is none.

        Raises:
            TaskFailed: none can be started.
        """
        await self._bury()  # it died while it was idle: that is nobody's fault
        if self._process is None:
            try:
                self._process = await Process.spawn(self.name, self.pool)
            except OSError as error:
                raise TaskFailed("no_worker", error.strerror or str(error)) from error
        return self._process

    async def leave(self) -> None:
        """Its run has ended."""
        self.run, self._idle_since = None, self._clock.monotonic()
        await self._bury()

    def unload_in(self) -> float | None:
        """Seconds until the idle process is to end; None when there is none."""
        if self._process is None:
            return None
        return self._idle_since + self.pool.idle_unload - self._clock.monotonic()

    async def unload(self) -> None:
        """End the process: the only way that gives all its memory back."""
        process, self._process = self._process, None
        if process is not None:
            await process.kill()

    async def _bury(self) -> None:
        if self._process is not None and not self._process.alive:
            await self.unload()
