"""One task in progress, as the threads of the worker see it."""

from __future__ import annotations

from scriberrd.protocol import Heartbeat, Share, Stop, Task


class GivenUp(BaseException):
    """The daemon has stopped the task. `except Exception` must not catch it on its way."""


class Run:
    """A task, its recording, its progress, its share of the cores, and whether it is to stop.

    Some threads work and call `tick`, another reads commands and calls `heed`. The count is not
    exact when two threads tick at once; it only has to grow.
    """

    def __init__(self, task: Task, descriptor: int) -> None:
        self.task, self.descriptor = task, descriptor  # the working thread closes the descriptor
        self.position = task.resume.position if task.resume else 0.0  # seconds transcribed
        self.share = task.share  # how many clips are decoded at once: looked at before each
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

    def beat(self) -> Heartbeat:
        """The heartbeat, to be sent every second."""
        return Heartbeat(
            job=self.task.job,
            lease=self.task.lease,
            ticks=self._ticks,
            position=round(self.position, 3),
        )
