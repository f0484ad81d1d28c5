"""Calls to file systems that may hang, each in a thread of its own.

A share whose server is gone does not answer, and a thread that waits for it can't be stopped. So
each call runs in a daemon thread, which does not delay the exit of the process. The caller stops
waiting after a limit. A folder with an unanswered call gets no further calls until it has answered:
each of them would cost another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import queue
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from scriberrd.errors import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

LIMIT = 30.0  # seconds: a sleeping disk takes ten of them to wake up
SPARE = 8  # idle threads that are kept for the next calls
BUSY = "folder"  # the name of a thread with a call
LOOK = 3.0  # seconds: for a look that a person at a terminal, or systemd at the start, waits for


class Abandoned(Exception):
    """The caller has stopped waiting for the call."""


class Heartbeat:
    """How a long call reports progress, and learns that its caller has stopped waiting."""

    def __init__(self) -> None:
        self.beats = 0
        self.abandoned = False

    def beat(self) -> None:
        """Report progress.

        Raises:
            Abandoned: the caller has stopped waiting.
        """
        if self.abandoned:
            raise Abandoned
        self.beats += 1


class Folders:
    """The folders of a daemon: inboxes and outputs."""

    def __init__(self) -> None:
        self._owed: Counter[str] = Counter()  # folder -> calls without an answer after the limit
        self._areas: dict[Path, list[tuple[bytes, Path]]] = {}  # by inbox, the longest prefix first

    def answers(self, folder: Path) -> bool:
        """Whether a folder has no unanswered call."""
        return not self._owed[str(folder)]

    def divide(self, root: Path, areas: Iterable[tuple[bytes, Path]]) -> None:
        """Note the parts of an inbox that may hang each by itself.

        Args:
            root: of the inbox.
            areas: where they are in it ("" for its own), and the folders that calls are told by.
        """
        self._areas[root] = sorted(areas, key=lambda area: len(area[0]), reverse=True)

    def place(self, root: Path, path: bytes) -> Path:
        """The folder by which a call on a file of an inbox is told from those that may hang."""
        for prefix, place in self._areas.get(root, ()):
            if not prefix or path == prefix or path.startswith(prefix + b"/"):
                return place
        return root

    async def run(
        self, folder: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function(...)`, which touches only `folder`, in a thread.

        When this await is cancelled, the call continues: treat its outcome as unknown.

        Raises:
            NoAnswer: it took longer than `LIMIT`, or an earlier call still has no answer.
        """
        return await self.follow(folder, Heartbeat(), function, *args, **kwargs)

    async def follow(
        self,
        folder: Path,
        heartbeat: Heartbeat,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `run`, but the limit is on the time between two beats of `heartbeat`.

        Raises:
            NoAnswer: no beat and no result within `LIMIT`, or an earlier call still has no answer.
        """
        return await self._result(folder, heartbeat, self._begin(folder, function, *args, **kwargs))

    async def open(
        self, folder: Path, function: Callable[P, int], *args: P.args, **kwargs: P.kwargs
    ) -> int:
        """Like `run`, for a call that opens a descriptor: if it comes too late, it is closed."""
        call = self._begin(folder, function, *args, **kwargs)
        try:
            return await self._result(folder, Heartbeat(), call)
        except (NoAnswer, asyncio.CancelledError):
            call.add_done_callback(_close)
            raise

    def _begin(
        self, folder: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        if not self.answers(folder):
            raise NoAnswer
        return start(function, *args, **kwargs)

    async def _result(self, folder: Path, heartbeat: Heartbeat, call: asyncio.Future[T]) -> T:
        beats = -1
        try:
            while beats != heartbeat.beats:
                beats = heartbeat.beats
                await asyncio.wait({call}, timeout=LIMIT)
                if call.done():
                    return call.result()
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(LIMIT, self._owe, folder, call)
            raise
        finally:
            heartbeat.abandoned = not call.done()
        self._owe(folder, call)
        raise NoAnswer

    def _owe(self, folder: Path, call: asyncio.Future[T]) -> None:
        if call.done():
            return
        key = str(folder)
        self._owed[key] += 1

        def answered(_: asyncio.Future[T]) -> None:
            self._owed[key] -= 1

        call.add_done_callback(answered)


def _close(call: asyncio.Future[int]) -> None:
    if call.exception() is None:
        start(os.close, call.result())


def start(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Call `function(...)` in a daemon thread; the future gets its result."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()
    # asyncio would complain about an error that nobody waits for.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def call() -> None:
        try:
            result = context.run(function, *args, **kwargs)
            settle = functools.partial(future.set_result, result)
        except BaseException as error:  # noqa: BLE001 - the future passes it on
            settle = functools.partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: future.done() or settle())

    try:
        _idle.pop().put(call)
    except IndexError:  # all are busy, or hang
        calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        calls.put(call)
        threading.Thread(target=_work, args=(calls,), daemon=True).start()
    return future


_idle: list[queue.SimpleQueue[Callable[[], None]]] = []  # the queues of the idle threads


def _work(calls: queue.SimpleQueue[Callable[[], None]]) -> None:
    """Run one call after the other: starting a thread costs more than most calls."""
    while True:
        call = calls.get()
        threading.current_thread().name = BUSY
        call()
        threading.current_thread().name = "folder, idle"
        del call
        if len(_idle) >= SPARE:
            return
        _idle.append(calls)


def look_at(places: Iterable[Path], look: Callable[[Path], T]) -> dict[Path, T | OSError]:
    """The result or error of `look(place)` for each place; NoAnswer when that takes too long.

    It blocks, for at most `LOOK` seconds: use it where no event loop runs.
    """
    found: dict[Path, T | OSError] = {}

    def call(place: Path) -> None:
        try:
            found[place] = look(place)
        except OSError as error:
            found[place] = error

    threads = {
        place: threading.Thread(target=call, args=(place,), name="folder", daemon=True)
        for place in dict.fromkeys(places)
    }
    until = time.monotonic() + LOOK
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, until - time.monotonic()))
    return {place: found[place] if place in found else NoAnswer() for place in threads}
