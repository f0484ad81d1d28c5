"""What is measured: scriberrd through its real worker process, and faster-whisper beside it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from bare import WAYS
from bench import WORK
from child import Child, task

from scriberrd.protocol import BlockDone, Failed, Finished, Loaded, Stopped

if TYPE_CHECKING:
    from voices import Sound

CACHE = WORK / "faith" / "bare"


@dataclass(frozen=True)
class Heard:
    """What a system made of a sound. Times in seconds, memory in MB (the peak)."""

    segments: list[tuple[float, float]]
    words: list[tuple[float, float, str]]
    gaps: list[tuple[float, float]]  # that it lists itself
    wall: float  # from the loaded model to the last word
    cpu: float
    memory: float
    kept: bool = False  # from a run before

    @property
    def text(self) -> str:
        return "".join(word for _, _, word in self.words)


@dataclass(frozen=True)
class Bare:
    """One of the ways to call faster-whisper."""

    model: str
    way: str
    threads: int

    @property
    def name(self) -> str:
        return f"faster-whisper, {self.way}"

    def hear(self, sound: Sound, language: str, *, again: bool = False) -> Heard:
        """What is remembered of a run before is taken, unless it is to run `again`."""
        wanted = [self.way, self.model, str(self.threads), language]
        versions = [version(name) for name in ("faster-whisper", "ctranslate2", "numpy", "av")]
        key = hashlib.sha256(sound.path.read_bytes() + json.dumps([wanted, versions]).encode())
        kept = CACHE / f"{key.hexdigest()}.json"
        there = kept.exists() and not again
        if not there:
            command = [
                sys.executable,
                str(Path(__file__).with_name("bare.py")),
                *wanted,
                sound.path,
            ]
            env = os.environ | {"OMP_NUM_THREADS": str(self.threads)}
            found = subprocess.run(command, env=env, check=True, capture_output=True).stdout
            CACHE.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(".part")
            part.write_bytes(found)
            part.rename(kept)
        return Heard(**json.loads(kept.read_text()), kept=there)


@dataclass(frozen=True)
class Scriberrd:
    """A worker with these settings beside the model; none are the defaults."""

    model: str
    threads: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        told = [f"{key.removesuffix('_seconds')} {told}" for key, told in self.settings.items()]
        return ", ".join(["scriberrd", *told, f"threads {self.threads}"])

    def hear(self, sound: Sound, language: str) -> Heard:
        worker = Child(stderr=subprocess.DEVNULL)
        try:
            return self._heard(worker, sound, language)
        finally:
            worker.close()

    def _heard(self, worker: Child, sound: Sound, language: str) -> Heard:
        hardware = {"threads": self.threads, "compute_type": "int8"}
        given = {"model": self.model, "language": language, "word_timestamps": True}
        worker.send(sound.path, task(hardware=hardware, **given, **self.settings))
        process = psutil.Process(worker.process.pid)
        segments, words, gaps, began, computed = [], [], [], 0.0, 0.0
        for reply in worker.rest():
            match reply:
                case Loaded():
                    began, computed = time.perf_counter(), sum(process.cpu_times()[:2])
                case BlockDone(block=block):
                    segments += [(one.start, one.end) for one in block.segments]
                    words += [(one.start, one.end, one.word) for one in block.words]
                    gaps += [(one.start, one.end) for one in getattr(block, "gaps", ())]
                case Failed() | Stopped():
                    raise RuntimeError(f"{sound.name}: {reply}")
                case Finished():
                    break
        wall = time.perf_counter() - began
        cpu = sum(process.cpu_times()[:2]) - computed
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return Heard(segments, words, gaps, wall, cpu, int(peak) / 1024)


def bare(model: str, threads: int) -> list[Bare]:
    """faster-whisper in its three ways."""
    return [Bare(model, way, threads) for way in WAYS]


def ours(model: str, *, everything: bool) -> list[Scriberrd]:
    """The defaults, and if wanted the whole matrix."""
    found = [Scriberrd(model, 1)]
    if everything:
        found.append(Scriberrd(model, 2))
        for threads in (1, 2):
            for seconds in (30, 60, 300):
                for size in (1, 8):
                    settings = {"block_seconds": float(seconds), "batch_size": size}
                    found.append(Scriberrd(model, threads, settings))
    return found
