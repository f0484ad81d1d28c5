"""Other queues on SQLite, each opened as its documentation shows: what they do for one job.

That is the same life for all: it is put in, taken, and done. Their jobs are the name of a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import apsw
import apsw.bestpractice
from huey import SqliteHuey
from litequeue import LiteQueue
from persistqueue import SQLiteAckQueue

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


class Candidate(NamedTuple):
    """A queue to compare with."""

    name: str
    cycle: Callable[[], Any]
    durability: str  # what its own connection says
    kept_until: str  # what ends a job: a crash before that does not lose it


def durability(connection: sqlite3.Connection | apsw.Connection) -> str:
    def pragma(name: str) -> Any:
        (row,) = connection.execute(f"PRAGMA {name}").fetchall()
        return row[0]

    return f"{pragma('journal_mode')}, synchronous={SYNCHRONOUS[pragma('synchronous')]}"


def others(folder: Path) -> Iterator[Candidate]:
    yield bare(folder)
    yield huey(folder)
    yield litequeue(folder, "litequeue")
    yield litequeue(folder, "litequeue, set to FULL", "PRAGMA synchronous = FULL")
    yield persist_queue(folder)


def bare(folder: Path) -> Candidate:
    """No queue, but what the disk and SQLite take for as many commits, each of one row."""
    db = apsw.Connection(str(folder / "bare"))
    apsw.bestpractice.connection_wal(db)
    db.execute("CREATE TABLE counter (moves INTEGER); INSERT INTO counter VALUES (0)")

    def cycle() -> None:
        for _ in range(3):
            db.execute("UPDATE counter SET moves = moves + 1")

    return Candidate("no queue: three commits of a row", cycle, durability(db), "-")


def litequeue(folder: Path, name: str, setting: str = "") -> Candidate:
    queue = LiteQueue(str(folder / name))
    queue.conn.execute(setting)

    def cycle() -> None:
        queue.put("talk.mp3")
        queue.done(queue.pop().message_id)

    return Candidate(name, cycle, durability(queue.conn), "done")


def persist_queue(folder: Path) -> Candidate:
    queue = SQLiteAckQueue(str(folder / "persist"))

    def cycle() -> None:
        queue.put("talk.mp3")
        queue.ack(queue.get())

    connection = queue._putter  # noqa: SLF001 - there is no other way to ask it
    return Candidate("persist-queue (SQLiteAckQueue)", cycle, durability(connection), "done")


def huey(folder: Path) -> Candidate:
    queue = SqliteHuey(filename=str(folder / "huey.db"), results=False)

    @queue.task()
    def work(name: str) -> None:
        pass

    def cycle() -> None:
        work("talk.mp3")
        queue.execute(queue.dequeue())

    return Candidate("huey", cycle, durability(queue.storage.conn), "taken")
