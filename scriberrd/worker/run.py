"""One task in progress, as the threads of the worker see it."""

from __future__ import annotations

from typing import Generic, TypeVar

from scriberrd.protocol import Diarize, Heartbeat, Share, Stop, Task

Order = TypeVar("Order", bound=Task | Diarize)


class GivenUp(BaseException):
    """The daemon has stopped the task. `except Exception` must not catch it on its way."""


class Run(Generic[Order]):
    """A task, its recording, its progress, its share of the cores, and whether it is to stop.

    Some threads work and call `tick`, another reads commands and calls `heed`. The count is not
    exact when two threads tick at once; it only has to grow.
    """

    def __init__(self, task: Order, descriptor: int) -> None:
        self.task, self.descriptor = task, descriptor  # the working thread closes the descriptor
        resume = task.resume if isinstance(task, Task) else None
        self.position = resume.position if resume else 0.0  # seconds transcribed
        self.done: float | None = None  # of a diarization, 0 to 1
        self.share = task.share  # how many clips are decoded at once: looked at before each
        self.step: str | None = "loading its libraries"  # before it gets on
        self._ticks = 0
        self._stop: Stop | None = None

    def tick(self) -> None:
        """Count some work; raises GivenUp if the task is to stop at once."""
        self._ticks += 1
        if self._stop is not None and not self._stop.after_block:
            raise GivenUp

    def reach(self, position: float) -> None:
        """Note that the recording is transcribed up to `position` (seconds); raises like `tick`."""
        self.position = max(self.position, position)
        self.tick()

    def progress(self, fraction: float) -> None:
        """Note how much of a diarization is done, 0 to 1; raises like `tick`."""
        self.done = max(self.done or 0.0, min(fraction, 1.0))
        self.tick()

    def pass_boundary(self) -> None:
        """Between two blocks: raises GivenUp if the task is to stop at once or here."""
        self.tick()
        if self._stop is not None:
            raise GivenUp

    def heed(self, command: Stop | Share) -> None:
        """Take in a command; one for another task is ignored."""
        if (command.job, command.lease) != (self.task.job, self.task.lease):
            return
        if isinstance(command, Share):
            self.share = command.clips
        else:
            self._stop = command

    def enter(self, step: str | None) -> None:
        """Note what it does before it gets on with the recording."""
        self.step = step

    def beat(self) -> Heartbeat:
        """The heartbeat, to be sent every second."""
        return Heartbeat(
            job=self.task.job,
            lease=self.task.lease,
            ticks=self._ticks,
            position=round(self.position, 3),
            done=None if self.done is None else round(self.done, 3),
            step=self.step,
        )
