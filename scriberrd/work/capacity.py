"""How many worker processes there are, and how many cores each run uses now.

A process decodes as many clips at once as its run has cores, each clip on one. So one long
recording uses all cores in one process, and many short ones share them in many.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd.files.folders import look_at
from scriberrd.units import Count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scriberrd.config import Config, Worker
    from scriberrd.settings import Settings
    from scriberrd.work.machine import Machine
    from scriberrd.work.slot import Slot

MB = 10**6
USABLE = 0.75  # of the memory that is available: the rest is for others
PROCESS = 300 * MB  # libraries, and the sound and spectrum of a block
# A process that tells speakers apart: torch and a model; for each hour its sound, and voices: it
# holds 8 bytes for each pair of them (docs/diarization.md).
DIARIZER, HOUR, VOICES = 700 * MB, 600 * MB, 5400
CLIP = 100 * MB  # of a clip that is decoded, besides what grows with the model
IN_BATCH = 15 * MB  # of each further one in a batch, likewise
# model.bin by what the name of a model contains, in this order; any other is as large as they come.
SIZES = {
    "tiny": 76 * MB,
    "base": 145 * MB,
    "small": 484 * MB,
    "turbo": 1618 * MB,
    "distil-medium": 789 * MB,
    "distil": 1513 * MB,
    "medium": 1528 * MB,
}
LARGE = 3087 * MB
# How large the weights are in memory, if model.bin holds them in 16 bits.
WEIGHTS = {"auto": 0.5, "int8": 0.5, "float32": 2.0}


def fit(config: Config, machine: Machine) -> Config:
    """The configuration with a number wherever a pool leaves it to the machine."""
    sharing = [pool for pool in config.workers if on_cpu(pool, machine)]
    model = max(_sizes(config.profiles.values()))
    batch = max(profile.clips_at_once("cpu") for profile in config.profiles.values())
    beside = max(map(_diarizer, config.profiles.values()))
    workers = tuple(
        _fit(pool, machine, len(sharing), model, batch, beside)
        if pool in sharing
        else replace(pool, count=pool.count or Count(1), threads=pool.threads or Count(1))
        for pool in config.workers
    )
    return replace(config, workers=workers)


def on_cpu(pool: Worker, machine: Machine) -> bool:
    """Whether a pool computes on the CPU."""
    return pool.device == "cpu" or (pool.device == "auto" and not machine.gpu)


def _fit(
    pool: Worker, machine: Machine, sharing: int, model: int, batch: int, beside: float
) -> Worker:
    """Fill in the numbers of one of so many pools that share cores and memory.

    A process needs its weights, and once more the file while it loads; the first clip of a thread
    needs about half of the file again, the others of its batch a quarter. Threads share a block,
    and with it a batch.
    """
    weights = WEIGHTS.get(pool.compute_type.partition("_")[0], 1.0)
    memory = machine.memory * USABLE / sharing
    clip = CLIP + model / 2
    process = PROCESS + model + weights * model - clip + (batch - 1) * (IN_BATCH + model / 4)
    process += beside
    count = pool.count or _between(
        (memory - machine.cores * clip) / process, machine.cores // sharing
    )
    threads = pool.threads or _between((memory - count * process) / clip, machine.cores)
    return replace(pool, count=Count(count), threads=Count(threads))


def _diarizer(profile: Settings) -> float:
    """The bytes that telling the speakers of its longest recording apart takes."""
    if profile.diarize == "off":
        return 0.0
    hours = profile.max_diarize / 3600
    return DIARIZER + HOUR * hours + 8 * (VOICES * hours) ** 2


def _between(number: float, most: int) -> int:
    return max(1, min(int(number), most))


def _sizes(profiles: Iterable[Settings]) -> list[int]:
    """The bytes of model.bin of each model; that of a folder by looking."""
    models = {profile.model for profile in profiles}
    files = {model: Path(model, "model.bin") for model in models if os.path.isabs(model)}
    found = look_at(list(files.values()), os.stat)
    sizes = []
    for model in models:
        stat = found[files[model]] if model in files else None
        known = next(
            (size for name, size in SIZES.items() if name in os.path.basename(model)), LARGE
        )
        sizes.append(stat.st_size if isinstance(stat, os.stat_result) else known)
    return sizes


def deal(slots: Iterable[Slot], machine: Machine) -> None:
    """Tell each run on the CPU its share of the cores: whenever one has begun or ended."""
    running = [
        (slot.run, slot.pool)
        for slot in slots
        if slot.run is not None and on_cpu(slot.pool, machine)
    ]
    parts = shares(machine.cores, [pool.threads for _, pool in running])
    for (run, _), share in zip(running, parts, strict=True):
        run.deal(share)


def shares(cores: int, most: Sequence[int]) -> list[int]:
    """Divide cores among runs: at least 1 for each, and no more than it may have.

    Args:
        cores: how many there are.
        most: how many each may have.
    """
    parts = [1] * len(most)
    for _ in range(cores - len(most)):
        hungry = [n for n, part in enumerate(parts) if part < most[n]]
        if not hungry:
            break
        parts[min(hungry, key=lambda n: parts[n])] += 1
    return parts
