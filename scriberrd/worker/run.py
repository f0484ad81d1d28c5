"""One task in progress, as the threads of the worker see it."""

from __future__ import annotations

from scriberrd.protocol import Heartbeat, Stop, Task


class GivenUp(BaseException):
    """The daemon wants the task no longer. No `except Exception` on its way may hold it."""


class Run:
    """A task, its recording, how far it is, and whether it is to be given up.

    One thread works and calls `tick`, another reads commands and calls `stop`. Counting is not
    exact when two threads tick at once; it need only grow.
    """

    def __init__(self, task: Task, descriptor: int) -> None:
        self.task, self.descriptor = task, descriptor  # who works on it closes the descriptor
        self.position = task.resume.position if task.resume else 0.0  # seconds transcribed
        self._ticks = 0
        self._stop: Stop | None = None

    def tick(self) -> None:
        """Some work was done; raises GivenUp when the task is to end at once."""
        self._ticks += 1
        if self._stop is not None and not self._stop.after_block:
            raise GivenUp

    def reach(self, position: float) -> None:
        """The recording is transcribed up to `position` (seconds); raises as `tick` does."""
        self.position = max(self.position, position)
        self.tick()

    def pass_boundary(self) -> None:
        """Between two blocks: raises GivenUp when the task is to end at once or here."""
        self.tick()
        if self._stop is not None:
            raise GivenUp

    def stop(self, command: Stop) -> None:
        """Take note of a command; one for another task is ignored."""
        if (command.job, command.lease) == (self.task.job, self.task.lease):
            self._stop = command

    def beat(self) -> Heartbeat:
        """What is to be said every second."""
        return Heartbeat(
            job=self.task.job,
            lease=self.task.lease,
            ticks=self._ticks,
            position=round(self.position, 3),
        )
