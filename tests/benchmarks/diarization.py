"""What telling speakers apart takes: the diarizing worker beside the bare pipeline.

Both are processes of their own with one thread, from their start to their end, on the same
recording and our tiny pipeline. What clustering takes is measured apart, with as many voices as
a real pipeline compares: it grows with the square of the duration. Needs pyannote.audio:
make bench-diarization
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import wave
from typing import TYPE_CHECKING, Any, NamedTuple

import bench
import numpy as np
import recordings
from child import Child
from daemons import Daemon
from faster_whisper import decode_audio

from scriberrd.protocol import Diarize, Diarized, Hints

if TYPE_CHECKING:
    from pathlib import Path

MODEL = bench.HERE.parent / "models/pyannote-flite/model"
VOICES = 1.5  # of a second that are compared, when one person speaks at a time
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Taken(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds
    peak: float  # GB

    def __str__(self) -> str:
        return f"{self.wall:.0f} s, {self.cpu:.0f} s, {self.peak:.2f} GB"


def ended(process: subprocess.Popen[Any], began: float) -> Taken:
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu = time.monotonic() - began, used.ru_utime + used.ru_stime
    return Taken(wall, cpu, used.ru_maxrss * 1024 / 1e9)


def bare(*arguments: object) -> Taken:
    began = time.monotonic()
    command = [sys.executable, bench.HERE / "bare_diarization.py", *map(str, arguments)]
    return ended(subprocess.Popen(command, env=os.environ | ALONE), began)


def worker(recording: Path, minutes: int) -> Taken:
    began, child = time.monotonic(), Child()
    order = Diarize(
        job=1,
        lease=1,
        diarizer="pyannote",
        model=str(MODEL),
        hints=Hints(),
        track="default",
        duration=minutes * 60.0,
        device="cpu",
        threads=1,
        share=1,
        auto_download=False,
        model_cache="",
    )
    child.send(recording, order)
    last = list(child.rest())[-1]
    assert isinstance(last, Diarized), last
    child.commands.close()
    return ended(child.process, began)


def daemon(recording: Path) -> tuple[float, float]:
    """Seconds, and of processor time, from the drop to the transcript with its speakers."""
    profile = f'diarize = "required"\ndiarization_model = "{MODEL}"'
    with Daemon(bench.fresh("diarization"), profile=profile) as running:
        before = running.cpu()
        began = running.drop([recording])
        took = running.published(1, within=3600) - began
        return took, running.cpu() - before


def wav(minutes: int) -> Path:
    recording, _ = recordings.long(minutes)
    path = recording.with_suffix(".wav")
    if not path.exists():
        samples = decode_audio(str(recording))[: minutes * 60 * recordings.RATE]
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, recordings.RATE, len(samples), "NONE", ""))
            file.writeframes((samples * 32767).astype(np.int16).tobytes())
    return path


def main(*, quick: bool) -> None:
    rows = []
    for minutes in (2, 10) if quick else (10, 60):
        path = wav(minutes)
        theirs, ours = bare("pipeline", MODEL, path), worker(path, minutes)
        rows.append([minutes, theirs, ours, f"{ours.cpu / theirs.cpu:.3f}"])
    bench.table(
        "Speakers told apart: time, processor time, peak memory",
        ("minutes", "bare pipeline", "worker", "processor time, ratio"),
        rows,
    )
    path = wav(2 if quick else 10)
    loop, (took, cpu) = bare("both", MODEL, path, bench.MODEL), daemon(path)
    bench.table(
        "Words and speakers: the daemon beside faster-whisper and the pipeline",
        ("minutes", "loop", "daemon", "time, ratio", "processor time, ratio"),
        [
            [
                2 if quick else 10,
                loop,
                f"{took:.0f} s, {cpu:.0f} s",
                f"{took / loop.wall:.3f}",
                f"{cpu / loop.cpu:.3f}",
            ]
        ],
    )
    rows = []
    for hours in (0.5,) if quick else (1, 2, 4):
        number = int(hours * 3600 * VOICES)
        taken = bare("clustering", number)
        rows.append([hours, number, taken, f"{8 * number**2 / 1e9:.2f} GB"])
    head = ("hours", "voices", "time, processor time, peak memory", "8 bytes for each pair, twice")
    bench.table("Clustering alone", head, rows)


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
