"""What the daemon takes while it idles, and how soon it is there, however many jobs are stored."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import bench
from daemons import Daemon
from memory import kilobytes, megabytes
from stored import fill


def computed(pid: int) -> float:
    """Seconds that a process has computed, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def milliseconds(seconds: list[float]) -> str:
    return f"{median(seconds) * 1000:.0f} ms"


def main(*, quick: bool) -> None:
    count, starts, idle = (1000, 2, 5) if quick else (100_000, 10, 60)
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
    starting = [milliseconds(ready[it]) for it in (full, empty)]
    rows = [
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
    title = f"Idle daemon: medians of {starts} starts"
    bench.table(title, ("what", "measured", "ratio", "aim"), rows)


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
