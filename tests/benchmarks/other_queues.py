"""Other queues on SQLite: what they do for one job, and how durably by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from huey import SqliteHuey
from litequeue import LiteQueue
from persistqueue import SQLiteAckQueue

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import apsw

SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


class Candidate(NamedTuple):
    """A queue to compare with, and what its own connection says of its durability."""

    name: str
    cycle: Callable[[], Any]
    durability: str


def durability(connection: sqlite3.Connection | apsw.Connection) -> str:
    def pragma(name: str) -> Any:
        (row,) = connection.execute(f"PRAGMA {name}").fetchall()
        return row[0]

    return f"{pragma('journal_mode')}, synchronous={SYNCHRONOUS[pragma('synchronous')]}"


def others(folder: Path) -> Iterator[Candidate]:
    yield huey_sqlite(folder / "huey.db", "huey")
    yield huey_sqlite(folder / "huey-fsync.db", "huey, fsync=True", fsync=True)

    lite = LiteQueue(str(folder / "litequeue.db"))

    def lite_cycle() -> None:
        lite.put("talk.mp3")
        lite.done(lite.pop().message_id)

    yield Candidate("litequeue", lite_cycle, durability(lite.conn))

    ack = SQLiteAckQueue(str(folder / "persist"), auto_commit=True)

    def ack_cycle() -> None:
        ack.put("talk.mp3")
        ack.ack(ack.get())

    yield Candidate("persist-queue (SQLiteAckQueue)", ack_cycle, durability(ack._putter))  # noqa: SLF001


def huey_sqlite(path: Path, name: str, **options: Any) -> Candidate:
    queue = SqliteHuey(filename=str(path), results=False, **options)

    @queue.task()
    def work(name: str) -> None:
        pass

    def cycle() -> None:
        work("talk.mp3")
        queue.execute(queue.dequeue())

    return Candidate(name, cycle, durability(queue.storage.conn))
