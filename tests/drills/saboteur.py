"""The real daemon with a fault built in: put this before its command, the fault in the environment.

SABOTAGE_CRASH=MOMENT:NAME:COUNT
    kill -9 itself `before` or `after` the COUNTth time that NAME happens: a commit of a function of
    `scriberrd.jobs` that changed something; or, with a name such as publish.write, a call of it.
SABOTAGE_CLOCK=FILE
    FILE holds two numbers of seconds that are added to the wall clock and the monotonic clock.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scriberrd import cli, daemon
from scriberrd.store import Store

if TYPE_CHECKING:
    import apsw


def arm(moment: str, name: str, number: int) -> None:
    """Prepare the crash."""
    times = count(1)

    def due(now: str) -> bool:
        return now == moment and next(times) == number

    def wrapped(function: Any) -> Any:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if due("before"):
                die()
            result = function(*args, **kwargs)
            if due("after"):
                die()
            return result

        return call

    module, dot, attribute = name.rpartition(".")
    if dot:
        room = importlib.import_module(f"scriberrd.{module}")
        setattr(room, attribute, wrapped(getattr(room, attribute)))
    else:
        _arm_commit(name, due)


def _arm_commit(name: str, due: Any) -> None:
    run = Store.run

    async def sabotaged(store: Store, function: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(function, "func", function).__name__ != name:
            return await run(store, function, *args, **kwargs)

        changed = False

        def all_but_the_commit(db: apsw.Connection, *inner: Any, **values: Any) -> Any:
            nonlocal changed
            before = db.total_changes()
            result = function(db, *inner, **values)
            changed = db.total_changes() != before  # a claim that finds nothing does not count
            if changed and due("before"):
                die()
            return result

        result = await run(store, all_but_the_commit, *args, **kwargs)
        if changed and due("after"):
            die()
        return result

    Store.run = sabotaged  # type: ignore[method-assign]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Clock:
    """The system's clocks, put wrong by what a file says at that moment."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def _offsets(self) -> list[float]:
        return [float(number) for number in self._file.read_text().split()]

    def time(self) -> float:
        return time.time() + self._offsets()[0]

    def monotonic(self) -> float:
        return time.monotonic() + self._offsets()[1]


if __name__ == "__main__":
    if "SABOTAGE_CRASH" in os.environ:
        moment, name, number = os.environ["SABOTAGE_CRASH"].split(":")
        arm(moment, name, int(number))
    if "SABOTAGE_CLOCK" in os.environ:
        daemon.time = Clock(os.environ["SABOTAGE_CLOCK"])  # type: ignore[assignment]
    del sys.argv[0]
    cli.main()
