"""What the queue costs, as a Markdown page: `make queue-figures`.

All in one run on one disk: single transactions on a small and on a huge queue, whole cycles beside
other queues on SQLite, and a restart.

The other queues are opened as their documentation shows, and called as ours is here: directly, by
one thread. All keep what is done, but for huey; so each is measured new and with many jobs behind
it.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import psutil
from other_queues import Candidate, durability, others

sys.path.insert(0, str(Path(__file__).parent.parent))
from program import Program, wait_for

from scriberrd.model import Identity, Source
from scriberrd.queue import jobs, store
from scriberrd.queue.jobs.rows import encode
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings
from scriberrd.transcript import BlockResult, Segment, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SIZES = (100, 10_000, 1_000_000)
QUEUED = 100_000  # at the restart
TRANSACTIONS = 300
CYCLES, ROUNDS = 20, 50
BEHIND = 10_000  # cycles between the two measurements of cycles
RESTARTS = 5

FILL = """
    WITH RECURSIVE row (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < :rows)
    INSERT INTO job (state, inbox, path, identity, sha256, profile, settings, priority, lease,
                     created_at, queued_at, finished_at)
    SELECT iif(n % 10 AND NOT :all_queued, 'completed', 'queued'), 'main',
           CAST(printf('folder/recording-%d.mp3', n) AS BLOB), :identity, printf('%064d', n),
           'default', :settings, 2, 0, n, n, iif(n % 10 AND NOT :all_queued, n, NULL)
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
    with transaction(db):
        db.execute(FILL, values)
        db.execute(FILL_EVENTS)
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    db.close()


class Ours:
    """The queue of scriberrd: one transaction for each move."""

    def __init__(self, path: Path) -> None:
        self.db = store.connect(path)
        self._names = iter(range(10**9))

    def submit(self) -> None:
        number = next(self._names)
        source = Source("main", b"new/%d.mp3" % number, Identity(1, 2, 3, 4, 5), f"{number:x}")
        with transaction(self.db):
            jobs.submit(self.db, source, profile="default", settings=Settings(), now=time.time())

    def claim(self) -> jobs.Lease:
        with transaction(self.db):
            job = jobs.claim(self.db, "cpu", now=time.time(), expires=1.0, longest=3600)
        assert job is not None
        return jobs.Lease(job.id, job.lease)

    def checkpoint(self, lease: jobs.Lease) -> None:
        with transaction(self.db):
            jobs.checkpoint(self.db, lease, BLOCK, expires=2.0, now=time.time())

    def finish(self, lease: jobs.Lease) -> None:
        with transaction(self.db):
            jobs.finish(self.db, lease, language="en", now=time.time())

    def cycle(self) -> None:
        self.submit()
        self.finish(self.claim())


def block() -> BlockResult:
    """Five minutes of speech: 600 words in 60 segments."""
    words = tuple(
        Word(start=n / 2, end=n / 2 + 0.4, word=f" word{n}", probability=0.9) for n in range(600)
    )
    segments = tuple(
        Segment(start=n * 5.0, end=n * 5.0 + 4.9, text="ten words of text " * 3) for n in range(60)
    )
    return BlockResult(
        number=0,
        start=0.0,
        end=300.0,
        speech=290.0,
        language="en",
        language_probability=0.9,
        segments=segments,
        words=words,
    )


BLOCK = block()


def milliseconds(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return (time.perf_counter() - start) * 1000, result


def costs(folder: Path, sizes: list[int]) -> Iterator[list[str]]:
    """Medians of single transactions on queues of several sizes, which take turns."""
    queues = {}
    for rows in sizes:
        fill(folder / f"{rows}.db", rows)
        queues[rows] = Ours(folder / f"{rows}.db")
    os.sync()  # what is written back meanwhile would be measured too
    taken: dict[int, list[list[float]]] = {rows: [] for rows in sizes}
    syncs = []
    for _ in range(TRANSACTIONS):
        syncs.append([milliseconds(lambda: sync(folder))[0]] * 4)
        for rows, queue in queues.items():
            submit, _ = milliseconds(queue.submit)
            claim, lease = milliseconds(queue.claim)
            checkpoint, _ = milliseconds(functools.partial(queue.checkpoint, lease))
            finish, _ = milliseconds(functools.partial(queue.finish, lease))
            taken[rows].append([submit, claim, checkpoint, finish])
    for queue in queues.values():
        queue.db.close()
    for name, rows_of in [("4 KiB synced to the disk", syncs)] + [
        (f"{rows:,} jobs", taken[rows]) for rows in sizes
    ]:
        medians = [statistics.median(column) for column in zip(*rows_of, strict=True)]
        yield [name, *(f"{median:.2f} ms" for median in medians)]


def cycles(folder: Path) -> Iterator[list[str]]:
    """Cycles per second of each, new and later; and medians of the rounds' ratios."""
    ours = Ours(folder / "ours.db")
    mine = Candidate("scriberrd", ours.cycle, durability(ours.db), "done")
    everybody = [mine, *others(folder)]
    new = cycle_rates(everybody)
    for one in everybody:
        for _ in range(BEHIND):
            one.cycle()
    later = cycle_rates(everybody)
    for number, one in enumerate(everybody):
        row = [one.name, one.durability, one.kept_until]
        for rates in (new, later):
            row.append(f"{statistics.median(rates[number]):.0f}")
            ratios = (rate / own for rate, own in zip(rates[number], rates[0], strict=True))
            row.append(f"{statistics.median(ratios):.2f}")
        yield row


def cycle_rates(everybody: list[Candidate]) -> list[list[float]]:
    """Cycles per second of each in all rounds, in which they take turns."""
    os.sync()
    rates: list[list[float]] = [[] for _ in everybody]
    for _ in range(ROUNDS):
        for one, its_rates in zip(everybody, rates, strict=True):
            start = time.perf_counter()
            for _ in range(CYCLES):
                one.cycle()
            its_rates.append(CYCLES / (time.perf_counter() - start))
    return rates


def restart(folder: Path, queued: int) -> list[str]:
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
        wait_for(lambda: program.said(" started on "), "the first claim")
        firsts.append(time.perf_counter() - start)
        wait_for(lambda: program.said(" is ready"), "ready")
        readies.append(time.perf_counter() - start)
        program.stop(9)
    return [f"{queued:,}", *(f"{statistics.median(times):.2f} s" for times in (firsts, readies))]


def sync(folder: Path) -> None:
    """Write and sync one page: the floor of every commit."""
    descriptor = os.open(folder / "page", os.O_WRONLY | os.O_CREAT)
    os.pwrite(descriptor, bytes(4096), 0)
    os.fdatasync(descriptor)
    os.close(descriptor)


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
    table(["", "submit", "claim", "checkpoint", "finish"], costs(folder, sizes))
    beside = "beside scriberrd"
    head = ["queue", "durability", "keeps a job until it is"]
    head += ["cycles per second, new", beside, f"after {BEHIND:,} jobs", beside]
    table(head, cycles(folder))
    queues = (restart(folder, queued) for queued in (100, QUEUED))
    table(["queued jobs", "first claim after", "ready after"], queues)


def table(head: list[str], rows: Iterable[list[str]]) -> None:
    for row in (head, ["---"] * len(head), *rows):
        print("|", " | ".join(row), "|", flush=True)
    print()


if __name__ == "__main__":
    main()
