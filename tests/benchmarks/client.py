"""How soon the client answers, what the daemon takes while it idles, and how soon it is there."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import bench
import msgspec
from daemons import Daemon
from memory import kilobytes, megabytes

from scriberrd.queue import store
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = (bench.BIN / "python", "-c", "pass")
STATUS = (bench.BIN / "scriberrctl", "status")
EVENTS = ("submitted", "claimed", "checkpointed", "finished")
FORMATS = ("json", "txt", "srt", "vtt")


def fill(it: Daemon, count: int) -> None:
    """Write finished jobs into the database, with all that belongs to each."""
    settings = msgspec.json.encode(Settings()).decode()
    now = time.time() - 1e6
    db = store.connect(it.folder / "state/scriberrd.db")
    with transaction(db):
        db.executemany(
            "INSERT INTO job (state, inbox, path, identity, sha256, profile, settings, priority,"
            " lease, created_at, queued_at, started_at, finished_at, published_at, progress,"
            " duration, language) VALUES ('completed', 'bench', ?, ?, ?, 'default', ?, 2, 1,"
            " ?, ?, ?, ?, ?, 60, 60, 'en')",
            (
                (
                    b"talks/%d.opus" % n,
                    f"[1,{n},{n},{n},{n}]",
                    f"{n:064x}",
                    settings,
                    *[now + n] * 5,
                )
                for n in range(1, count + 1)
            ),
        )
        db.executemany(
            "INSERT INTO execution (job, lease, worker, started_at, finished_at, outcome,"
            " start_position, audio_seconds) VALUES (?, 1, 'cpu', ?, ?, 'completed', 0, 60)",
            ((n, now + n, now + n + 30) for n in range(1, count + 1)),
        )
        db.executemany(
            "INSERT INTO output (inbox, name, job, published) VALUES ('bench', ?, ?, ?)",
            outputs(count),
        )
        db.executemany(
            "INSERT INTO event (at, job, type, data) VALUES (?, ?, ?, '{}')",
            ((now + n, n, event) for n in range(1, count + 1) for event in EVENTS),
        )
    db.close()


def outputs(count: int) -> Iterator[tuple[bytes, int, int]]:
    for number in range(1, count + 1):
        for extension in FORMATS:
            yield b"talks/%d.%s" % (number, extension.encode()), number, number


def took(command: tuple[Any, ...], socket: Any) -> float:
    began = time.perf_counter()
    environment = os.environ | {"SCRIBERRD_SOCKET": str(socket)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - began


def computed(pid: int) -> float:
    """Seconds that a process has computed, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def milliseconds(seconds: list[float]) -> str:
    return f"{median(seconds) * 1000:.0f} ms"


def main(*, quick: bool) -> None:
    count, runs, starts, idle = (1000, 5, 2, 5) if quick else (100_000, 40, 10, 60)
    empty, full = (Daemon(bench.fresh(name)) for name in ("empty", "full"))
    fill(full, count)
    ready: dict[Daemon, list[float]] = {empty: [], full: []}
    for number in range(starts + 1):
        for it in (empty, full):
            with it:
                if number:  # the first time the database is made, and the disk is read
                    ready[it].append(it.ready_after)
    with full as it:
        time.sleep(3)
        before = computed(it.process.pid)
        time.sleep(idle)
        cpu = computed(it.process.pid) - before
        own, shared = (kilobytes(it.process.pid, "smaps_rollup", key) for key in ("Pss", "Rss"))
        both = [(took(PYTHON, it.socket), took(STATUS, it.socket)) for _ in range(runs + 1)][1:]
    plain, status = (list(times) for times in zip(*both, strict=True))
    starting = [milliseconds(ready[it]) for it in (full, empty)]
    rows = [
        (
            "`scriberrctl status`, beside `python -c pass`",
            f"{milliseconds(status)}, {milliseconds(plain)}",
            f"{median(status) / median(plain):.1f}",
            "under 8",
        ),
        (
            f"start to ready with {count} finished jobs, beside none",
            ", ".join(starting),
            f"{median(ready[full]) / median(ready[empty]):.2f}",
            "",
        ),
        ("memory of the idle daemon, PSS", megabytes(own), "", "under 80 MB"),
        ("memory of the idle daemon, RSS", megabytes(shared), "", "under 80 MB"),
        (f"processor time of the idle daemon in {idle} s", f"{cpu * 1000:.1f} ms", "", ""),
    ]
    title = f"Client and idle daemon: medians of {runs} runs, {starts} starts"
    bench.table(title, ("what", "measured", "ratio", "aim"), rows)


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
