"""Tell the speakers of one recording apart, from its descriptor to the last reply."""

from __future__ import annotations

import math
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from scriberrd.errors import TaskFailed
from scriberrd.protocol import Diarize, Diarized, DiarizerLoaded, Ready, Reply
from scriberrd.transcript import Diarization
from scriberrd.worker import attempt, diarizers, turns
from scriberrd.worker.audio import RATE, Recording, Samples, Source
from scriberrd.worker.describe import is_out_of_memory
from scriberrd.worker.steps import step

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.worker.diarizers import Diarizer, Voices, Wanted
    from scriberrd.worker.run import Run

    Kept = attempt.Kept[Wanted, Diarizer]

PIECE = 60 * RATE  # samples that are read at once


def kept() -> Kept:
    """What is kept from one task to the next: nothing yet."""
    return attempt.Kept(diarizers.load)


def perform(run: Run[Diarize], kept: Kept, send: Callable[[Reply], None]) -> Reply:
    """Do a task: send replies on the way, and return the last one."""
    return attempt.attempt(run, kept, partial(_diarize, run, kept, send), "diarization_failed")


def _diarize(run: Run[Diarize], kept: Kept, send: Callable[[Reply], None]) -> Diarized:
    task = run.task
    with attempt.opened(run) as file:
        with step("loading the diarizer"):
            diarizer = kept.get(diarizers.Wanted.by(task), run.tick)
        send(
            DiarizerLoaded(
                job=task.job,
                lease=task.lease,
                model=diarizer.model,
                revision=diarizer.revision,
                device=diarizer.device,
            )
        )
        send(Ready(job=task.job, lease=task.lease))
        with closing(Recording(file, task.track, tick=run.tick)) as recording:
            samples = _samples(recording, task.duration, run.tick)
    voices, steps = _found(run, diarizer, samples)
    found = _diarization(voices, diarizer, len(samples) / RATE, steps)
    if steps:  # the next recording may have room for more
        kept.drop()
    return Diarized(job=task.job, lease=task.lease, diarization=found)


def _samples(recording: Recording, duration: float, tick: Callable[[], None]) -> Samples:
    """The whole recording, up to there: hours are gigabytes, so there is never a second copy."""
    room = np.empty(math.ceil(duration * RATE), np.float32)
    source, end = Source(recording.samples(), tick), 0
    while end < len(room) and len(piece := source.read(min(PIECE, len(room) - end))):
        room[end : end + len(piece)] = piece
        end += len(piece)
    if not end:
        raise TaskFailed("empty_audio")
    return room[:end]


def _found(
    run: Run[Diarize], diarizer: Diarizer, samples: Samples
) -> tuple[Voices, tuple[str, ...]]:
    """Who speaks when, and the steps down that were taken because memory ran out."""
    steps: list[str] = []
    while True:
        try:
            return diarizer.diarize(samples, run.task.hints, run.progress), tuple(steps)
        except Exception as error:
            if not is_out_of_memory(error) or (step := diarizer.smaller()) is None:
                raise
        sys.stderr.write(f"out of memory: going on with {step}\n")
        steps.append(step)


def _diarization(
    voices: Voices, diarizer: Diarizer, duration: float, steps: tuple[str, ...]
) -> Diarization:
    within = turns.tidy(
        voices.turns, {turn.speaker: turn.speaker for turn in voices.turns}, duration
    )
    names = turns.labels(within)
    regular = turns.tidy(within, names, duration)
    exclusive = None if voices.exclusive is None else turns.tidy(voices.exclusive, names, duration)
    return Diarization(
        model=diarizer.model,
        revision=diarizer.revision,
        device=diarizer.device,
        turns=regular,
        exclusive=turns.alone(regular) if exclusive is None else exclusive,
        embeddings=turns.voices(voices.embeddings, names),
        fallbacks=steps,
        warnings=voices.warnings,
    )
