"""What the queue costs, as a Markdown page: `make queue-figures`.

All in one run on one disk: single transactions on a small and on a huge queue, whole cycles beside
other queues on SQLite (each with the durability that it has by default), and a restart.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw
import psutil
from huey import SqliteHuey
from litequeue import LiteQueue
from persistqueue import SQLiteAckQueue

sys.path.insert(0, str(Path(__file__).parent.parent))
from program import Program, wait_for

from scriberrd import jobs, store
from scriberrd.jobs.rows import encode
from scriberrd.model import Identity, Settings, Source
from scriberrd.transcript import Block, Segment, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (100, 10_000, 1_000_000)
QUEUED = 100_000  # at the restart
TRANSACTIONS = 300
CYCLES, ROUNDS = 200, 5
RESTARTS = 5
SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}

FILL = """
    WITH RECURSIVE row (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < :rows)
    INSERT INTO job (state, inbox, path, identity, sha256, profile, settings, priority, lease,
                     created_at, queued_at)
    SELECT iif(n % 10 AND NOT :all_queued, 'completed', 'queued'), 'main',
           CAST(printf('folder/recording-%d.mp3', n) AS BLOB), :identity, printf('%064d', n),
           'default', :settings, 2, 0, n, n
    FROM row
"""
FILL_EVENTS = """
    INSERT INTO event (at, job, type, data)
    SELECT id, id, type, '{}' FROM job,
        (SELECT 'submitted' AS type UNION ALL SELECT 'claimed' UNION ALL SELECT 'checkpointed'
         UNION ALL SELECT 'finished')
    WHERE job.state = 'completed' OR type = 'submitted'
"""


def fill(path: Path, rows: int, *, all_queued: bool = False) -> None:
    """A database with so many jobs: nine of ten completed, or all of them queued."""
    db = store.connect(path)
    values = {
        "rows": rows,
        "all_queued": all_queued,
        "identity": encode(Identity(1, 2, 3, 4, 5)),
        "settings": encode(Settings(engine="fake", model="ok")),
    }
    with db:
        db.execute(FILL, values)
        db.execute(FILL_EVENTS)
    db.pragma("wal_checkpoint(TRUNCATE)")
    db.close()
    os.sync()  # what is written back meanwhile would be measured too


class Ours:
    """The queue of scriberrd: one transaction for each move."""

    def __init__(self, path: Path) -> None:
        self.db = store.connect(path)
        self._names = iter(range(10**9))

    def submit(self) -> None:
        number = next(self._names)
        source = Source("main", b"new/%d.mp3" % number, Identity(1, 2, 3, 4, 5), f"{number:x}")
        with self.db:
            jobs.submit(self.db, source, profile="default", settings=Settings(), now=time.time())

    def claim(self) -> jobs.Hold:
        with self.db:
            job = jobs.claim(self.db, "cpu", now=time.time(), expires=1.0, longest=3600)
        assert job is not None
        return jobs.Hold(job.id, job.lease)

    def checkpoint(self, hold: jobs.Hold) -> None:
        with self.db:
            jobs.checkpoint(self.db, hold, BLOCK, expires=2.0, now=time.time())

    def finish(self, hold: jobs.Hold) -> None:
        with self.db:
            jobs.finish(self.db, hold, language="en", now=time.time())

    def cycle(self) -> None:
        self.submit()
        self.finish(self.claim())


def block() -> Block:
    """Five minutes of speech: 600 words in 60 segments."""
    words = tuple(
        Word(start=n / 2, end=n / 2 + 0.4, word=f" word{n}", probability=0.9) for n in range(600)
    )
    segments = tuple(
        Segment(start=n * 5.0, end=n * 5.0 + 4.9, text="ten words of text " * 3) for n in range(60)
    )
    return Block(
        number=0,
        start=0.0,
        end=300.0,
        speech=290.0,
        language="en",
        language_probability=0.9,
        prompt="the tail of the text " * 40,
        segments=segments,
        words=words,
    )


BLOCK = block()


def milliseconds(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return (time.perf_counter() - start) * 1000, result


def costs(path: Path) -> list[float]:
    """Medians of single transactions: submit, claim, checkpoint, finish."""
    queue = Ours(path)
    taken: list[list[float]] = []
    for _ in range(TRANSACTIONS):
        submit, _ = milliseconds(queue.submit)
        claim, hold = milliseconds(queue.claim)
        checkpoint, _ = milliseconds(lambda hold=hold: queue.checkpoint(hold))
        finish, _ = milliseconds(lambda hold=hold: queue.finish(hold))
        taken.append([submit, claim, checkpoint, finish])
    queue.db.close()
    return [statistics.median(column) for column in zip(*taken, strict=True)]


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


def candidates(folder: Path) -> Iterator[Candidate]:
    ours = Ours(folder / "ours.db")
    yield Candidate("scriberrd", ours.cycle, durability(ours.db))
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


def cycles(folder: Path) -> list[tuple[Candidate, float]]:
    """Cycles per second of each: medians of rounds that take turns."""
    everybody = list(candidates(folder))
    rates: dict[str, list[float]] = {one.name: [] for one in everybody}
    for _ in range(ROUNDS):
        for one in everybody:
            start = time.perf_counter()
            for _ in range(CYCLES):
                one.cycle()
            rates[one.name].append(CYCLES / (time.perf_counter() - start))
    return [(one, statistics.median(rates[one.name])) for one in everybody]


def restart(folder: Path, queued: int) -> tuple[float, float]:
    """Seconds until the first claim and until ready; medians of restarts after kill -9."""
    root = folder / f"restart-{queued}"
    root.mkdir()
    program = Program(root)
    (root / "state").mkdir()
    fill(root / "state/scriberrd.db", queued, all_queued=True)
    firsts, readies = [], []
    for _ in range(RESTARTS):
        program.log.write_bytes(b"")
        start = time.perf_counter()
        program.launch()
        wait_for(lambda: program.said(" claimed by "), "the first claim")
        firsts.append(time.perf_counter() - start)
        wait_for(lambda: program.said(" is ready"), "ready")
        readies.append(time.perf_counter() - start)
        program.stop(9)
    return statistics.median(firsts), statistics.median(readies)


def sync(folder: Path) -> float:
    """Milliseconds that the disk takes to write and sync one page: the floor of every commit."""
    descriptor = os.open(folder / "page", os.O_WRONLY | os.O_CREAT)

    def page() -> None:
        os.pwrite(descriptor, bytes(4096), 0)
        os.fdatasync(descriptor)

    taken = statistics.median(milliseconds(page)[0] for _ in range(TRANSACTIONS))
    os.close(descriptor)
    return taken


def machine(folder: Path) -> str:
    parts = [
        part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)
    ]
    disk = max(parts, key=lambda part: len(part.mountpoint))
    cpu = next(
        line.partition(": ")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB; {disk.fstype} on {disk.device}; Linux "
        f"{platform.release()}; Python {platform.python_version()}; SQLite "
        f"{apsw.sqlite_lib_version()} (scriberrd), {sqlite3.sqlite_version} (the others)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on a real disk")
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="queue-figures-", dir=given.folder))
    try:
        report(folder, given.rows)
    finally:
        shutil.rmtree(folder)


def report(folder: Path, sizes: list[int]) -> None:
    print(f"{machine(folder)}\n")
    print(f"Writing and syncing one page of 4 KiB there: {sync(folder):.2f} ms.\n")
    print("| rows | submit | claim | checkpoint | finish |\n|--:|--:|--:|--:|--:|")
    for rows in sizes:
        path = folder / f"{rows}.db"
        fill(path, rows)
        print(f"| {rows:,} | {' | '.join(f'{cost:.2f} ms' for cost in costs(path))} |", flush=True)
        path.unlink()
    os.sync()
    print("\n| queue | durability | cycles per second | beside scriberrd |\n|---|---|--:|--:|")
    measured = cycles(folder)
    ours = measured[0][1]
    for one, rate in measured:
        print(f"| {one.name} | {one.durability} | {rate:.0f} | {rate / ours:.2f} |", flush=True)
    print("\n| queued jobs | first claim after | ready after |\n|--:|--:|--:|")
    for queued in (100, QUEUED):
        first, ready = restart(folder, queued)
        print(f"| {queued:,} | {first:.2f} s | {ready:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
