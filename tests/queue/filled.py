"""A database with jobs, and what may befall it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import apsw

from scriberrd.model import Identity, Source
from scriberrd.queue import jobs as queue
from scriberrd.queue import queries, restore
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.queue.store import Store

NOON = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def submit(db: apsw.Connection, number: int) -> None:
    source = Source("inbox", b"%d.mp3" % number, Identity(1, 2, 3, 4, number), f"{number:064}")
    queue.submit(db, source, profile="default", settings=Settings(), now=NOON)


@contextlib.contextmanager
def opened(state: Path, now: float = NOON) -> Iterator[Store]:
    """A database with a thousand jobs: many pages."""
    with restore.opened(state, now=now) as opened:
        yield opened


async def fill(opened: Store, count: int = 1000) -> None:
    def submit_all(db: apsw.Connection) -> None:
        for number in range(count):
            submit(db, number)

    await opened.run(submit_all)


async def count(opened: Store) -> int:
    return sum((await opened.read(queries.counts)).values())


def jobs_in(file: Path) -> int:
    with contextlib.closing(apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        number: int = db.execute("SELECT count(*) FROM job").get
        return number


def damage(path: Path) -> None:
    """Overwrite pages in the middle of a file, as a dying disk does."""
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * (path.stat().st_size - 8192))


def kill(state: Path, path: Path) -> None:
    """Leave the files of a closed database as after a kill -9."""
    assert path.exists()
    (state / restore.MARK).touch()
