"""What a run has its workers do, one errand at a time: given, answered, done or given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd import protocol
from scriberrd.errors import TaskFailed, WorkerDied
from scriberrd.failures import FAILURES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scriberrd.queue.jobs import Lease
    from scriberrd.transcript import Diarization
    from scriberrd.work.messages import Errand, Message, Messages
    from scriberrd.work.process import Kind, Process

CANCEL_GRACE = 1.0  # seconds that a worker gets to give up a task before it is killed
LAST = (protocol.Finished, protocol.Diarized, protocol.Failed, protocol.Stopped)


class Errands:
    """The errand that a run is at, and the process that is at it."""

    def __init__(
        self, lease: Lease, worker: Callable[[Kind], Awaitable[Process]], messages: Messages
    ) -> None:
        self._lease, self._worker, self._messages = lease, worker, messages
        self._errand: Errand | None = None  # until it is done, or has failed
        self._process: Process | None = None  # that the latest errand was given to
        self._reply: asyncio.Task[protocol.Reply] | None = None  # its next one; None: it is idle

    @property
    def at_work(self) -> Process | None:
        """The process that is at the errand."""
        return None if self._reply is None else self._process

    async def give(self, errand: Errand, share: int) -> None:
        """Give a worker its task, and so many cores."""
        self._errand = errand
        diarizes = isinstance(errand.task, protocol.Diarize)
        self._process = process = await self._worker("diarizer" if diarizes else "engine")
        # Others may have begun or ended since the task was made.
        process.send(replace(errand.task, share=share), errand.source)
        self._reply = self._messages.follow(process.receive())

    def heard(self, message: Message | None) -> protocol.Reply | None:
        """The reply about this run, if that is what the message is.

        The next one is waited for unless it is the last.
        """
        if not isinstance(message, asyncio.Task) or message is not self._reply:
            return None
        reply: protocol.Reply = message.result()
        mine = (reply.job, reply.lease) == self._lease
        if mine and isinstance(reply, LAST):
            self._reply = None
        elif self._process is not None:
            self._reply = self._messages.follow(self._process.receive())
        return reply if mine else None

    def done(self, found: Diarization | None) -> None:
        """The errand is done."""
        errand, self._errand = self._errand, None
        if errand is not None:
            errand.done.set_result(found)

    async def fail(self, error: TaskFailed | WorkerDied) -> None:
        """The errand has failed: what follows is for its stage to say. Without one it is raised."""
        errand, self._errand = self._errand, None
        if errand is None:
            raise error
        await self.abandon()
        # Who knows what state a driver or a library is in now?
        broken = isinstance(error, WorkerDied) or FAILURES[error.failure].fault == "worker"
        if self._process is not None and broken:
            await self._process.kill()
        self._process = self._reply = None
        errand.done.set_exception(error)

    def stop(self, process: Process, *, after_block: bool) -> None:
        """Tell a process to end its task."""
        job, token = self._lease
        process.send(protocol.Stop(job=job, lease=token, after_block=after_block))

    async def abandon(self) -> None:
        """Have the worker give up its task, if it is at one; kill it when it does not obey."""
        process = self.at_work
        if process is not None and process.alive:
            try:
                self.stop(process, after_block=False)
                async with asyncio.timeout(CANCEL_GRACE):
                    while self._reply is not None:
                        self.heard(await self._messages.get())
            except (TimeoutError, WorkerDied):
                await process.kill()
        if self._reply is not None:
            self._reply.cancel()


def failure(reply: protocol.Failed) -> TaskFailed:
    """What a worker says that it could not do."""
    if reply.code not in FAILURES:  # an engine may make up its own
        return TaskFailed("internal_error", f"unknown failure {reply.code}: {reply.detail}")
    return TaskFailed(reply.code, reply.detail)
