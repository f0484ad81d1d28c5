"""A slot of a worker pool: a process of each kind at most, and one run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scriberrd import logs
from scriberrd.errors import TaskFailed
from scriberrd.model import WorkerStatus
from scriberrd.work.process import Process

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from scriberrd.config import Worker
    from scriberrd.model import Clock, Job
    from scriberrd.transcript import EngineInfo
    from scriberrd.work.process import Kind
    from scriberrd.work.run import Run


# How long it may prefer jobs with the model that it has loaded to older ones of equal priority.
STRETCH_JOBS = 16
STRETCH = 600.0  # seconds


class Slot:
    """A place for worker processes, which outlive the runs in it; one of them works at a time."""

    def __init__(self, name: str, pool: Worker, clock: Clock) -> None:
        self.name = name
        self.pool = pool
        self.run: Run | None = None
        self.retired = False  # its pool is no longer configured: it claims nothing more
        self._idle_since = clock.monotonic()
        self._clock = clock
        self._processes: dict[Kind, Process] = {}
        self._loaded: Job | None = None  # the latest one whose model the process has loaded
        self._engine: EngineInfo | None = None  # as which it is loaded
        self._stretch = 0  # jobs that had the same model one after the other
        self._stretch_since = 0.0

    @property
    def job(self) -> Job | None:
        """What runs here."""
        return None if self.run is None else self.run.job

    def about(self) -> AbstractContextManager[None]:
        """Have what is logged in here say that it is about the run."""
        if self.run is None:
            return logs.about(worker=self.name)
        what = self.run.job.subject
        what |= {"execution": self.run.lease.token, "worker": self.name, "stage": self.run.stage}
        return logs.about(**what)

    def status(self) -> WorkerStatus:
        """What it is at, for people."""
        loaded: Literal["idle", "stopped"] = "idle" if self.started else "stopped"
        at_work: Kind = "diarizer" if self.run is not None and self.run.unit else "engine"
        process = self._processes.get(at_work) or next(iter(self._processes.values()), None)
        return WorkerStatus(
            name=self.name,
            device=self.pool.device if self._engine is None else self._engine.device,
            model=None if self._engine is None else self._engine.model,
            state=loaded if self.job is None else "busy",
            job=None if self.job is None else self.job.id,
            pid=None if process is None else process.pid,
            threads=int(self.pool.threads),
            share=None if self.run is None else self.run.share,
            step=None if self.run is None else self.run.step,
            reason=None if self.in_hours() else f"outside its hours ({self.pool.hours})",
        )

    @property
    def started(self) -> bool:
        """Whether it has a process."""
        return bool(self._processes)

    def in_hours(self) -> bool:
        """Whether its pool works at this time of the day."""
        return self.pool.hours.include(self._clock.time())

    def load(self, job: Job) -> None:
        """Its process has loaded the model of a job, or had it already."""
        if not self.has_model_of(job):
            self._stretch, self._stretch_since = 0, self._clock.monotonic()
        self._loaded, self._engine = job, None if self.run is None else self.run.engine
        self._stretch += 1

    def has_model_of(self, job: Job) -> bool:
        """Whether its process has loaded the model of this job."""
        return self._loaded is not None and _model(self._loaded) == _model(job)

    def prefers(self) -> Job | None:
        """A job with the model that goes first; None when it is the turn of any other."""
        over = self._clock.monotonic() - self._stretch_since > STRETCH
        return None if over or self._stretch >= STRETCH_JOBS else self._loaded

    async def worker(self, kind: Kind = "engine") -> Process:
        """A living process of a kind, started if there is none.

        Raises:
            TaskFailed: none can be started.
        """
        await self._bury()
        if kind not in self._processes:
            name = self.name if kind == "engine" else f"{self.name}-{kind}"
            try:
                self._processes[kind] = await Process.spawn(name)
            except OSError as error:
                raise TaskFailed("no_worker", error.strerror or str(error)) from error
        return self._processes[kind]

    async def leave(self) -> None:
        """Its run has ended."""
        self.run, self._idle_since = None, self._clock.monotonic()
        await self._bury()

    def unload_in(self) -> float | None:
        """Seconds until the idle processes are to end; None when there is none."""
        if not self._processes:
            return None
        return self._idle_since + self.pool.idle_unload - self._clock.monotonic()

    async def unload(self) -> None:
        """End the processes: the only way that gives all their memory back."""
        for kind in list(self._processes):
            await self._end(kind)

    async def _bury(self) -> None:
        for kind, process in list(self._processes.items()):
            if not process.alive:
                process.tell_idle_death()  # which is nobody's fault
                await self._end(kind)

    async def _end(self, kind: Kind) -> None:
        if kind == "engine":
            self._loaded = self._engine = None
        await self._processes.pop(kind).kill()


def _model(job: Job) -> tuple[object, ...]:
    """What is loaded for a job; of two jobs in one pool, the same if these are."""
    return job.settings.engine, job.settings.model, job.fallbacks
