"""Settled files on their way into the queue, by size: nothing small waits behind a terabyte."""

from __future__ import annotations

import asyncio
import heapq
import math
from typing import TYPE_CHECKING

from scriberrd.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from scriberrd.inbox.scan import Found

LANES = (64 << 20, 4 << 30, math.inf)  # bytes: the largest file of each
FILES, BYTES = 64, 16 << 20  # of the first lane, that are read and queued together
POLL = 5.0  # seconds until the queue is tried again after an error


class Lanes:
    """The settled files of an area until each is queued, or could not be.

    Args:
        take: reads some files and queues them; returns the error of each, or None.
        ended: is told what became of each file that was not dropped meanwhile.
        troubled: is told of an error of the queue, once: all files wait until it has passed.
    """

    def __init__(
        self,
        take: Callable[[list[Found]], Awaitable[list[Exception | None]]],
        ended: Callable[[Found, Exception | None], None],
        troubled: Callable[[Exception], None],
    ) -> None:
        self._take, self._ended, self._troubled = take, ended, troubled
        self._held: dict[bytes, tuple[Found, float]] = {}
        self._trouble = ""
        self._lanes = [_Lane(small=number == 0) for number in range(len(LANES))]

    def __len__(self) -> int:
        return len(self._held)

    @property
    def held(self) -> dict[bytes, float]:
        """What waits or is read: path -> when it was offered."""
        return {path: since for path, (_, since) in self._held.items()}

    def holds(self, file: Found) -> bool:
        """Whether this version of a file waits or is read."""
        return self._held.get(file.path, (None,))[0] == file

    def offer(self, files: Iterable[Found], now: float) -> None:
        """Take in files, each in place of an earlier version of it."""
        for file in files:
            self.drop([file.path])
            self._held[file.path] = (file, now)
            number = next(n for n, most in enumerate(LANES) if file.identity.size <= most)
            self._lanes[number].put(file)

    def drop(self, paths: Iterable[bytes]) -> None:
        """Let go of files that are gone or have changed, also of one that is being read."""
        dropped = {path for path in paths if self._held.pop(path, None)}
        for lane in self._lanes:
            if lane.reading and dropped.issuperset(file.path for file in lane.batch):
                lane.reading.cancel()

    async def run(self) -> None:
        """Read and queue until cancelled, one reader for each lane."""
        async with asyncio.TaskGroup() as readers:
            for lane in self._lanes:
                readers.create_task(self._read(lane))

    async def _read(self, lane: _Lane) -> None:
        while True:
            await lane.filled.wait()
            lane.batch = lane.next(self._is_held)
            if not lane.batch:
                lane.filled.clear()
                continue
            lane.reading = asyncio.ensure_future(self._take(lane.batch))
            try:
                await asyncio.wait({lane.reading})
            finally:
                lane.reading.cancel()
            reading, lane.reading = lane.reading, None
            if reading.cancelled():
                continue
            await self._end(lane, reading)

    async def _end(self, lane: _Lane, reading: asyncio.Future[list[Exception | None]]) -> None:
        error = reading.exception()
        if isinstance(error, StoreError):
            if self._trouble != str(error):
                self._trouble = str(error)
                self._troubled(error)
            await asyncio.sleep(POLL)
            for file in lane.batch:
                lane.put(file)
            return
        if error is None:
            self._trouble, outcomes = "", reading.result()
        elif isinstance(error, Exception):
            outcomes = [error] * len(lane.batch)
        else:
            raise error
        for file, outcome in zip(lane.batch, outcomes, strict=True):
            if self._is_held(file):
                del self._held[file.path]
                self._ended(file, outcome)

    def _is_held(self, file: Found) -> bool:
        return self._held.get(file.path, (None,))[0] is file


class _Lane:
    """The files of one lane; those that are not held any more are passed over."""

    def __init__(self, *, small: bool) -> None:
        self._small = small
        self._heap: list[tuple[int, bytes, Found]] = []
        self.filled = asyncio.Event()
        self.batch: list[Found] = []
        self.reading: asyncio.Future[list[Exception | None]] | None = None

    def put(self, file: Found) -> None:
        # Small ones are queued in the order in which they were made. A large one is more likely
        # to be waited for if it is new.
        age = file.identity.mtime_ns
        heapq.heappush(self._heap, (age if self._small else -age, file.path, file))
        self.filled.set()

    def next(self, is_held: Callable[[Found], bool]) -> list[Found]:
        """What is read together next; nothing when nothing waits."""
        batch: list[Found] = []
        size = 0
        while self._heap and len(batch) < (FILES if self._small else 1):
            file = self._heap[0][-1]
            if is_held(file):
                size += file.identity.size
                if batch and size > BYTES:
                    break
                batch.append(file)
            heapq.heappop(self._heap)
        return batch
