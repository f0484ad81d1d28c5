"""What a long recording takes of memory, through the daemon and through faster-whisper alone.

Memory is the proportional set size (what is shared is divided among those who share it), of the
daemon and its worker together, looked at five times a second; the high-water marks of the
resident sets are the kernel's own, which nothing escapes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import bench
import psutil
import recordings
from daemons import Daemon, family

DEADLINE = 3600  # seconds
EVERY = 0.2  # seconds
AIM = 1.2


class Watch(threading.Thread):
    """Looks at a process and its children until it is left."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.pid, self.done = pid, threading.Event()
        self.together = 0  # kB, the most
        self.alone: dict[int, int] = {}  # kB, the high-water mark of each process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()

    def run(self) -> None:
        while not self.done.wait(EVERY):
            with suppress(psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
                pids = [process.pid for process in family(self.pid)]
                now = sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in pids)
                self.together = max(self.together, now)
                self.alone |= {pid: kilobytes(pid, "status", "VmHWM") for pid in pids}


def kilobytes(pid: int, file: str, key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0  # a process that ends has none


def daemon(recording: Path) -> tuple[Watch, float]:
    with Daemon(bench.fresh("daemon")) as it, Watch(it.process.pid) as watch:
        began = it.drop([recording])
        seconds = it.published(1, within=DEADLINE) - began
        time.sleep(2 * EVERY)
    return watch, seconds


def alone(recording: Path) -> Watch:
    command: list[Any] = [
        sys.executable,
        bench.HERE / "bare.py",
        "1",
        bench.fresh("loop"),
        recording,
    ]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    with Watch(process.pid) as watch:
        process.wait(DEADLINE)
    return watch


def megabytes(amount: int) -> str:
    return f"{amount / 1024:.0f} MB"


def main(*, quick: bool) -> None:
    rows, first, lengths = [], 0, (2, 10, 30) if quick else (10, 60, 600)
    for minutes in lengths:
        recording, _ = recordings.long(minutes)
        watch, seconds = daemon(recording)
        first = first or watch.together
        marks = [watch.alone.pop(min(watch.alone)), *watch.alone.values()]  # the daemon came first
        # Of 10 hours it would need nearly 30 GB.
        theirs = megabytes(alone(recording).together) if minutes <= 60 else "not measured"
        ratio = f"{watch.together / first:.2f}"
        own = ", ".join(map(megabytes, marks))
        rows.append([minutes, megabytes(watch.together), ratio, own, f"{seconds:.0f} s", theirs])
    rows[-1][2] += f" (aim: at most {AIM})"
    head = ("minutes", "daemon and worker", "of the first", "high-water mark of each", "took")
    bench.table("The most memory held at once", (*head, "faster-whisper alone"), rows)


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
