"""The real daemon with a fault built in: put this before its command, the fault in the environment.

SABOTAGE_CRASH=MOMENT:NAME:COUNT
    kill -9 itself `before` or `after` the COUNTth time that NAME happens: a commit of a function of
    `scriberrd.queue.jobs` that changed something; with a name such as output.staging.place, a call
    of it; or with COMMIT a commit of any kind, of which those that changed nothing have no `after`.
SABOTAGE_HOLD=NAME:FILE
    the first call of NAME, such as output.staging.place, does not begin while FILE is there;
    FILE.held tells that it was held up.
SABOTAGE_SCHEMA=FOLDER
    be a later scriberrd, whose schema and migrations are in FOLDER; die() in its SQL is a kill -9.
SABOTAGE_CLOCK=FILE
    FILE holds two numbers of seconds that are added to the wall clock and the monotonic clock.
SABOTAGE_OOM=FOLDER
    FOLDER/proc/vmstat tells how often the kernel has killed because memory ran out.
SABOTAGE_HANG=FOLDER:FILE
    while FILE is there, no call that touches what is below FOLDER comes back, as on a share whose
    server has stopped; what waits for a folder waits two seconds at most.
SABOTAGE_IMMORTAL=1
    its workers can't be killed, like one that waits for a disk or a share.

SIGUSR1 blocks its event loop for ever.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import subprocess
import sys
import time
import warnings
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import apsw

from scriberrd import cli, daemon
from scriberrd.files import folders
from scriberrd.queue import store
from scriberrd.queue.migrations import Schema
from scriberrd.queue.store import Store
from scriberrd.work import oom, process

if TYPE_CHECKING:
    from collections.abc import Callable


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
    if name == "COMMIT":
        apsw.connection_hooks.append(functools.partial(_arm_sqlite, due=due))
    elif dot:
        room = importlib.import_module(f"scriberrd.{module}")
        setattr(room, attribute, wrapped(getattr(room, attribute)))
    else:
        _arm_commit(name, due)


def hold(name: str, file: Path) -> None:
    """Hold up the first call of a function, as a slow disk would."""
    module, _, attribute = name.rpartition(".")
    room = importlib.import_module(f"scriberrd.{module}")
    function, calls = getattr(room, attribute), count(1)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == 1:
            file.with_name(f"{file.name}.held").touch()
            while file.exists():
                time.sleep(0.01)
        return function(*args, **kwargs)

    setattr(room, attribute, call)


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


def _arm_sqlite(db: apsw.Connection, due: Callable[[str], bool]) -> None:
    def before() -> bool:
        return die() if due("before") else False

    def after(*_: object) -> int:
        return die() if due("after") else apsw.SQLITE_OK

    db.set_commit_hook(before)
    db.set_wal_hook(after)


def migrate_to(schema: Schema) -> None:
    """Be a scriberrd with this schema."""
    apsw.connection_hooks.append(lambda db: db.create_scalar_function("die", die, 0))
    assert store.connect.__kwdefaults__ is not None
    store.connect.__kwdefaults__["schema"] = schema


def block(*_: object) -> NoReturn:
    """Never give the event loop its thread back."""
    while True:
        time.sleep(3600)


def die() -> NoReturn:
    while True:
        os.kill(os.getpid(), signal.SIGKILL)


def hang(folder: str, file: str) -> None:
    """Have FOLDER give no answer while FILE is there."""
    folders.LIMIT, folders.LOOK = 2.0, 1.0

    def below(path: Any, base: int | None) -> bool:
        if isinstance(path, int):
            path, base = "", path
        at = "" if base is None else real_readlink(f"/proc/self/fd/{base}")
        text = real_join(at, os.fsdecode(path))
        return text == folder or text.startswith(f"{folder}/")

    def sabotaged(function: Any) -> Any:
        @functools.wraps(function)
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            base = kwargs.get("dir_fd", kwargs.get("src_dir_fd"))
            while below(path, base) and real_access(file, os.F_OK):
                time.sleep(0.05)
            return function(path, *args, **kwargs)

        return call

    real_readlink, real_join, real_access = os.readlink, os.path.join, os.access
    for name in (
        *("open", "scandir", "stat", "lstat", "listdir", "write", "fsync", "unlink"),
        *("pread", "mkdir", "link", "replace"),
    ):
        setattr(os, name, sabotaged(getattr(os, name)))


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

    def monotonic_ns(self) -> int:
        return int(self.monotonic() * 1e9)


if __name__ == "__main__":
    if "SABOTAGE_CRASH" in os.environ:
        moment, name, number = os.environ["SABOTAGE_CRASH"].split(":")
        arm(moment, name, int(number))
    if "SABOTAGE_HOLD" in os.environ:
        name, _, held_by = os.environ["SABOTAGE_HOLD"].partition(":")
        hold(name, Path(held_by))
    if "SABOTAGE_CLOCK" in os.environ:
        daemon.time = Clock(os.environ["SABOTAGE_CLOCK"])  # type: ignore[assignment]
    if "SABOTAGE_OOM" in os.environ:
        oom.kills.__defaults__ = (Path(os.environ["SABOTAGE_OOM"]),)
    if "SABOTAGE_HANG" in os.environ:
        hang(*os.environ["SABOTAGE_HANG"].split(":"))
    if "SABOTAGE_IMMORTAL" in os.environ:
        process.DYING = 1.0
        # One may outlive the daemon, which then can't know that it ends.
        warnings.filterwarnings("ignore", "subprocess .* is still running", ResourceWarning)
        signal.pidfd_send_signal = lambda *_: None  # type: ignore[assignment]
        subprocess.Popen.kill = lambda _: None  # type: ignore[method-assign]
    if "SABOTAGE_SCHEMA" in os.environ:
        migrate_to(Schema.read(Path(os.environ["SABOTAGE_SCHEMA"])))
    signal.signal(signal.SIGUSR1, block)
    del sys.argv[0]
    cli.main()
