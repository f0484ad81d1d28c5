"""What the daemon costs: the same recordings through it and through a loop around faster-whisper.

Both start with nothing loaded, have the same model, settings and threads, and take turns. The time
runs from the moment the recordings are there (for the loop: its start) to the last transcript in
its place, loading included. The daemon waits for no file to settle: that is a setting, not a cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import bench
import numpy as np
import recordings
from daemons import Daemon

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEADLINE = 3600  # seconds


class Result(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds
    texts: list[str]


def texts(folder: Path) -> list[str]:
    return [json.loads(path.read_text())["text"] for path in sorted(folder.glob("*.json"))]


def loop(files: Sequence[Path], threads: int) -> Result:
    output = bench.fresh("loop")
    command = [sys.executable, bench.HERE / "bare.py", str(threads), output, *files]
    os.sync()
    began, before = time.time(), os.times()
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    after = os.times()
    wall = bench.written(output, len(files), within=1) - began
    cpu = after.children_user + after.children_system - before.children_user
    return Result(wall, cpu - before.children_system, texts(output))


def daemon(files: Sequence[Path], threads: int) -> Result:
    with Daemon(bench.fresh("daemon"), threads=threads) as it:
        before = it.cpu()
        began = it.drop(files)
        wall = it.published(len(files), within=DEADLINE) - began
        return Result(wall, it.cpu() - before, texts(it.output / "all"))


def errors(expected: Sequence[str], actual: Sequence[str]) -> float:
    """Words to change, add or leave out, in all texts together, as a share of those expected."""
    pairs = [(words(a), words(b)) for a, b in zip(expected, actual, strict=True)]
    return sum(distance(a, b) for a, b in pairs) / sum(len(a) for a, _ in pairs)


def words(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c in "' ").split()


def distance(first: list[str], second: list[str]) -> int:
    """Levenshtein's, a row at a time."""
    numbers = {word: number for number, word in enumerate({*first, *second})}
    across = np.array([numbers[word] for word in second])
    steps = np.arange(len(second) + 1)
    row = steps
    for word in first:
        below = row + 1
        below[1:] = np.minimum(below[1:], row[:-1] + (across != numbers[word]))
        row = np.minimum.accumulate(below - steps) + steps
    return int(row[-1])


def compare(
    name: str, parts: list[tuple[Path, str]], threads: int, rounds: int, aim: float
) -> list[str]:
    files, expected = [path for path, _ in parts], [text for _, text in parts]
    loops, daemons = [], []
    for _ in range(rounds):
        loops.append(loop(files, threads))
        daemons.append(daemon(files, threads))
    ratios = [ours.wall / theirs.wall for theirs, ours in zip(loops, daemons, strict=True)]
    theirs, ours = median(r.wall for r in loops), median(r.wall for r in daemons)
    cpu = median(r.cpu for r in daemons) / median(r.cpu for r in loops)
    return [
        name,
        str(threads),
        f"{theirs:.2f} s",
        f"{ours:.2f} s",
        f"{ours / theirs:.3f}",
        f"{min(ratios):.3f} to {max(ratios):.3f}",
        f"{aim:.2f}",
        f"{cpu:.2f}",
        f"{errors(loops[0].texts, daemons[0].texts):.1%}",
        f"{errors(expected, loops[0].texts):.1%}, {errors(expected, daemons[0].texts):.1%}",
    ]


def main(*, quick: bool) -> None:
    count, minutes, rounds = (3, 4, 1) if quick else (30, 60, 5)
    folder = recordings.folder(count)
    long = [recordings.long(minutes)]
    loop([folder[0][0]], 1)  # so that nobody is the first to read the libraries from the disk
    rows = [
        compare(name, parts, threads, rounds, aim)
        for threads in (1, 2)
        for name, parts, aim in (
            (f"{count} files of 20 to 60 s", folder, 1.05),
            (f"one file of {minutes} minutes", long, 1.02),
        )
    ]
    head = ("recordings", "threads", "loop", "daemon", "ratio", "ratios of the rounds", "aim")
    more = ("processor time, ratio", "words that differ", "word errors of loop, daemon")
    bench.table(f"Overhead: medians of {rounds} rounds", (*head, *more), rows)


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
