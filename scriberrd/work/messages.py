"""What a run is told: one queue, into which everybody else only sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from scriberrd import protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from scriberrd.transcript import Diarization

T = TypeVar("T")

Interruption = Literal["cancel", "release", "preempt", "close"]
# Cancel: at once. Release: at the next block, and soon. The others: at the next block.
PRECEDENCE = {"cancel": 3, "release": 2, "preempt": 1, "close": 1, None: 0}


class Errand(NamedTuple):
    """What a worker is to do."""

    task: protocol.Task | protocol.Diarize
    source: int  # a descriptor of the recording
    done: asyncio.Future[Diarization | None]  # what it gives, if it is to give something


# A task is a message when it has ended: the stages, or the worker's next reply.
Message = Errand | Interruption | protocol.Share | asyncio.Task[Any]


class Messages(asyncio.Queue[Message]):
    """The messages to a run."""

    async def ask(self, task: protocol.Task | protocol.Diarize, source: int) -> Diarization | None:
        """Send an errand; what it gives, once it is done."""
        errand = Errand(task, source, asyncio.get_running_loop().create_future())
        self.put_nowait(errand)
        return await errand.done

    def follow(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin something whose end is a message."""
        task = asyncio.create_task(work)
        task.add_done_callback(self.put_nowait)
        # Nobody may read of it any more when it fails: asyncio would complain of that.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task
