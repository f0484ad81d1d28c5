"""Transcribe one recording, from its descriptor to the last reply."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from scriberrd.errors import TaskFailed
from scriberrd.protocol import BlockDone, Finished, Loaded, Probed, Ready, Reply, Task
from scriberrd.worker import attempt, engines
from scriberrd.worker.audio import RATE, Recording, Source
from scriberrd.worker.blocks import blocks, find_speech
from scriberrd.worker.channels import opened, split
from scriberrd.worker.steps import step
from scriberrd.worker.threads import prefetch
from scriberrd.worker.transcribing import transcribe

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.worker.engines import Engine, Wanted
    from scriberrd.worker.run import Run

    Kept = attempt.Kept[Wanted, Engine]


def kept() -> Kept:
    """What is kept from one task to the next: nothing yet."""
    return attempt.Kept(engines.load)


def perform(run: Run[Task], kept: Kept, send: Callable[[Reply], None]) -> Reply:
    """Do a task: send replies on the way, and return the last one."""
    send(Ready(job=run.task.job, lease=run.task.lease))
    return attempt.attempt(run, kept, partial(_transcribe, run, kept, send), "engine_failed")


def _transcribe(run: Run[Task], kept: Kept, send: Callable[[Reply], None]) -> Finished:
    task, settings = run.task, run.task.settings
    job, lease = task.job, task.lease
    with (
        attempt.opened(run) as file,
        closing(Recording(file, settings.audio_track, find_speech, run.tick)) as recording,
    ):
        send(
            Probed(
                job=job,
                lease=lease,
                container=recording.container,
                codec=recording.codec,
                channels=recording.channels,
                duration=recording.duration,
                track=recording.track,
            )
        )
        with step("loading the model"):
            engine = kept.get(engines.Wanted.by(task), run.tick)
        engine.check(settings)
        send(_loaded(task, engine, kept.seconds))
        source = Source(recording.samples(), run.tick)
        with opened(file, recording, run) as channels:
            if task.resume:
                for stream in (source, *channels.values()):
                    stream.skip(round(task.resume.position * RATE))
            cuts = blocks(source, round(settings.block_seconds * RATE), vad=settings.vad)
            if channels:
                cuts = split(cuts, channels, find_speech if settings.vad else None)
            with closing(prefetch(cuts)) as ahead:
                for result in transcribe(ahead, engine, run):
                    send(BlockDone(job=job, lease=lease, block=result))
        if not source.position:
            raise TaskFailed("empty_audio")
        return Finished(
            job=job,
            lease=lease,
            duration=source.position / RATE,
            warnings=recording.warnings(),
        )


def _loaded(task: Task, engine: Engine, seconds: float | None) -> Loaded:
    """What the task runs on, and how many seconds it took to have it: None where it was kept."""
    download = load = None
    if seconds is not None:
        download = engine.download_seconds
        load = round(seconds - (download or 0.0), 3)
    return Loaded(
        job=task.job,
        lease=task.lease,
        engine=engine.info,
        download_seconds=download,
        load_seconds=load,
    )
