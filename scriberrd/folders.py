"""Calls that touch a folder of somebody else, each apart from all others.

A share whose server has gone answers no call, and a thread that waits for it can't be stopped. So
each call gets a daemon thread of its own, which the exit of the process does not wait for; whoever
waits for the call stops waiting after a limit; and a folder that owes an answer is asked nothing
more until it has given it, or one thread after the other would be lost to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import threading
from collections import Counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

LIMIT = 30.0  # seconds: a sleeping disk takes ten of them to wake up


class NoAnswer(OSError):
    """The file system of a folder does not answer; whether it did what was asked is not known."""

    def __init__(self) -> None:
        super().__init__(errno.ETIMEDOUT, "its file system does not answer")


class Folders:
    """The folders of a daemon: inboxes and outputs."""

    def __init__(self) -> None:
        self._owed: Counter[str] = Counter()  # folder -> calls that passed their limit

    def answers(self, folder: Path) -> bool:
        """Whether a folder owes no answer."""
        return not self._owed[str(folder)]

    async def run(
        self, folder: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function(...)`, which touches `folder` and nothing else, in a thread.

        When this await is cancelled the call goes on: treat its outcome as unknown.

        Raises:
            NoAnswer: it took longer than `LIMIT`, or an earlier call still does.
        """
        if not self.answers(folder):
            raise NoAnswer
        call = start(function, *args, **kwargs)
        try:
            async with asyncio.timeout(LIMIT):
                return await asyncio.shield(call)
        except TimeoutError:
            if call.done():  # what the call itself has raised
                raise
            self._owe(folder, call)
            raise NoAnswer from None

    def _owe(self, folder: Path, call: asyncio.Future[T]) -> None:
        key = str(folder)
        self._owed[key] += 1

        def answered(_: asyncio.Future[T]) -> None:
            self._owed[key] -= 1

        call.add_done_callback(answered)


def start(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Begin to call `function(...)` in a daemon thread; the future has what comes of it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    # Nobody may wait for it any more when it fails: asyncio would complain of that.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def call() -> None:
        try:
            settle = functools.partial(future.set_result, function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
            settle = functools.partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: future.done() or settle())

    threading.Thread(target=call, name="folder", daemon=True).start()
    return future
