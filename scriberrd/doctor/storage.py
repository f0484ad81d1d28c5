"""Space on the disks, and the database: looked at beside a daemon that may be running."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from scriberrd.doctor.report import Line
from scriberrd.errors import StoreError
from scriberrd.files.folders import look_at
from scriberrd.files.models import cache
from scriberrd.queue import backup, store
from scriberrd.queue.faults import translated
from scriberrd.queue.restore import BACKUPS, DATABASE, MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scriberrd.config import Config
    from scriberrd.doctor.report import State

TIGHT, FULL = 2 << 30, 200 << 20  # bytes that are free
PATIENCE = 5.0  # seconds for a look at the whole database
STEPS = 100_000  # of SQLite, between two looks at the clock


def is_running(state: Path) -> bool:
    """Whether a daemon uses a state directory."""
    try:
        descriptor = os.open(state / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def space(config: Config, environment: Mapping[str, str]) -> Iterator[Line]:
    """Each file system that the daemon writes to, once."""
    places = {
        "the database": Path(config.daemon.state_dir),
        "models": cache(config.daemon.model_cache, environment),
        **{f"the transcripts of {one.name}": one.output for one in config.inboxes},
    }
    seen = set()
    found = look_at(places.values(), _space)
    for name, place in places.items():
        free = found[place]
        if isinstance(free, OSError):
            yield Line("disk", "warning", f"{place}: {free.strerror}", "see that it is mounted")
            continue
        device, size = free
        if device in seen:
            continue
        seen.add(device)
        state: State = "problem" if size < FULL else "warning" if size < TIGHT else "ok"
        what = f"{size / 1e9:.1f} GB are free for {name}, {place}"
        advice = "" if state == "ok" else "make room: jobs wait while nothing can be written"
        yield Line("disk", state, what, advice)


def _space(place: Path) -> tuple[int, int]:
    """The file system that a place is on, or will be, and the bytes free on it."""
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    free = os.statvfs(place)
    return os.stat(place).st_dev, free.f_bavail * free.f_frsize


def database(state: Path, *, running: bool) -> Iterator[Line]:
    """How the database is. Nothing is written, nor is any file made beside it.

    Args:
        state: the directory that it is in.
        running: a daemon uses it.
    """
    file = state / DATABASE
    backups = backup.found(state / BACKUPS, time.time())
    if not os.path.lexists(file):
        if backups:
            advice = "start the daemon: it restores the newest backup"
            yield Line("database", "warning", f"{file} is missing", advice)
        else:
            yield Line("database", "ok", f"{file} is made by the first start")
        return
    if (state / MARK).exists() and not running:
        what = "the last daemon did not end it cleanly"
        yield Line("database", "warning", what, "start the daemon: it checks all of it first")
    elif not running and Path(f"{file}-wal").exists():
        yield Line("database", "ok", f"{file}: the daemon that starts reads what was left to do")
    else:
        yield _checked(file, running=running)
    if backups:
        age = timedelta(seconds=max(0, round(time.time() - backups[-1].stat().st_mtime)))
        yield Line("backups", "ok", f"{len(backups)}, the newest {age} old")
    else:
        yield Line("backups", "ok", "none yet")


def _checked(file: Path, *, running: bool) -> Line:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    # Beside a daemon, its WAL counts; without one, nobody writes, and nothing is to be made.
    name = f"{file.absolute().as_uri()}?{'mode=ro' if running else 'immutable=1'}"
    until = time.monotonic() + PATIENCE
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    try:
        with (
            translated(file.name),
            contextlib.closing(apsw.Connection(name, flags=flags)) as db,
        ):
            db.set_busy_timeout(1000)
            store.refuse_foreign(db, file.name)
            db.set_progress_handler(lambda: time.monotonic() > until, STEPS)
            try:
                store.check(db, file.name)
            except apsw.InterruptError:
                return Line("database", "ok", f"{size}, no damage in what {PATIENCE:.0f} s show")
    except StoreError as error:
        advice = "stop the daemon, and start it: it restores the newest backup"
        return Line("database", "problem", str(error), advice)
    return Line("database", "ok", f"{size}, no damage, SQLite {apsw.sqlite_lib_version()}")
