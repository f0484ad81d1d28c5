"""What the benchmarks share: where they work, how they wait, tables."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"  # git ignores it
MODEL = HERE.parent / "models/whisper-flite/model"
BIN = Path(sys.executable).parent
POLL = 0.05  # seconds


def until(condition: Callable[[], object], *, within: float, every: float = POLL) -> None:
    """Wait for the condition; TimeoutError when it does not come true in so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:.0f} s")
        time.sleep(every)


def fresh(name: str) -> Path:
    """An empty folder to work in."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def written(folder: Path, count: int, *, within: float) -> float:
    """Wait for so many transcripts; the time since the epoch at which the last got its name."""
    until(lambda: len(list(folder.glob("*.json"))) == count, within=within)
    return max(path.stat().st_ctime for path in folder.glob("*.json"))


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown, and what it was measured on."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    name = next((line.split(":")[1] for line in cpuinfo.split("\n") if "model name" in line), "")
    parts = ", ".join(f"{name} {version(name)}" for name in ("faster-whisper", "ctranslate2"))
    print(f"\n### {title}\n\n{os.cpu_count()} cores,{name}; no GPU is used.")
    print(f"Python {platform.python_version()}, {parts}.")
    print(f"Other programs took {OTHERS.share():.1%} of the cores meanwhile.\n")
    aligned(head, rows)


def aligned(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown, without a word about it."""
    lines = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"| {' | '.join(cells)} |", flush=True)


class Others:
    """What else the machine was busy with: it makes figures worthless."""

    def __init__(self) -> None:
        self._before = self._read()

    def share(self) -> float:
        """Of the processor time since this was last asked for, what went to other programs."""
        before, self._before = self._before, self._read()
        there, idle, ours = (b - a for a, b in zip(before, self._before, strict=True))
        return max(0.0, (there - idle - ours) / there)

    def _read(self) -> tuple[float, float, float]:
        everything = psutil.cpu_times()
        idle = everything.idle + everything.iowait
        return sum(everything[:8]), idle, sum(os.times()[:4])


OTHERS = Others()


def quick(description: str | None) -> bool:
    """The command line of every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works")
    return bool(parser.parse_args().quick)
