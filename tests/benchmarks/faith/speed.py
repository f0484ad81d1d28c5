"""How long it takes, side by side: only ratios mean something, and only on idle cores."""

from __future__ import annotations

import os
import subprocess
import time
import venv
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import OTHERS, WORK, aligned, fresh
from daemons import Daemon
from systems import Bare, Scriberrd
from voices import MOST, Sound, Voice, joined, saved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODEL = "base"
FILES, ROUNDS, CORES = 16, 3, os.cpu_count() or 1
SECONDS = 8  # of a short file, about
DEADLINE = 3600  # seconds
OTHER = "whisper-ctranslate2"

Taken = tuple[float, float]  # wall and processor time in seconds


def main(voices: list[Voice]) -> None:
    """A folder of short files, and one long recording."""
    english = [voice for voice in voices if voice.language == "en"]
    other, short = _other(), _short(english)
    dense = joined("speed", english, MOST, 0.3, 1.0)
    ways = Bare(MODEL, "defaults", CORES), Bare(MODEL, "batched 8", CORES)
    _compare(
        f"{FILES} short files", {"scriberrd": lambda: _daemon(short), OTHER: lambda: other(short)}
    )
    runs = {way.name: lambda way=way: _worker(way, dense) for way in ways}
    _compare(
        "a long recording", {"scriberrd": lambda: _worker(Scriberrd(MODEL, CORES), dense), **runs}
    )
    print(f"\nOther programs took {OTHERS.share():.1%} of the {CORES} cores meanwhile.")


def _compare(what: str, runs: dict[str, Callable[[], Taken]]) -> None:
    """The medians of some rounds in turns, the first beside each other."""
    taken: dict[str, list[Taken]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            print(f"{what}: {name} ...", flush=True)
            taken[name].append(run())
    figures = {name: [median(one) for one in zip(*its, strict=True)] for name, its in taken.items()}
    wall, cpu = next(iter(figures.values()))
    rows = [
        [name, f"{its[0]:.1f} s", f"{its[1]:.1f} s", f"{wall / its[0]:.2f}", f"{cpu / its[1]:.2f}"]
        for name, its in figures.items()
    ]
    print(f"\n### {what}, {MODEL}, {CORES} cores\n")
    aligned(["", "took", "processor", "scriberrd took, of that", "its processor time"], rows)


def _worker(system: Bare | Scriberrd, sound: Sound) -> Taken:
    heard = system.hear(
        sound, sound.language, **({"again": True} if isinstance(system, Bare) else {})
    )
    return heard.wall, heard.cpu


def _daemon(files: list[Path]) -> Taken:
    """From the drop to the last transcript; the models are not loaded yet."""
    with Daemon(fresh("faith-daemon"), threads=None, model=MODEL) as daemon:
        before = daemon.cpu()
        began = daemon.drop(files)
        took = daemon.published(len(files), within=DEADLINE) - began
        return took, daemon.cpu() - before


def _other() -> Callable[[list[Path]], Taken]:
    """The command line of whisper-ctranslate2, installed where it harms nobody."""
    folder = WORK / OTHER
    program = folder / "bin" / OTHER
    if not program.exists():
        venv.create(folder, with_pip=True)
        command = [folder / "bin/pip", "install", "--quiet", OTHER]
        subprocess.run(command, check=True)

    def run(files: list[Path]) -> Taken:
        command: list[Any] = [
            program,
            *files,
            "--model",
            MODEL,
            "--language",
            "en",
            "--device",
            "cpu",
        ]
        command += ["--compute_type", "int8", "--threads", str(CORES), "--word_timestamps", "True"]
        command += ["--output_dir", fresh("faith-other"), "--verbose", "False"]
        before, began = os.times(), time.perf_counter()
        quiet = {**os.environ, "TQDM_DISABLE": "1"}
        subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)
        took, after = time.perf_counter() - began, os.times()
        return took, sum(after[2:4]) - sum(before[2:4])

    return run


def _short(voices: list[Voice]) -> list[Path]:
    """Recordings of some seconds, each as it is."""
    longer = sorted(voices, key=lambda voice: abs(len(voice.samples) / 16_000 - SECONDS))
    chosen = [longer[number % len(longer)] for number in range(FILES)]
    return [saved(f"short {n}", one.samples, "en", one.text).path for n, one in enumerate(chosen)]
