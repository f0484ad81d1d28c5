"""Transcribe one recording, from its descriptor to the last reply."""

from __future__ import annotations

import gc
import os
import traceback
from contextlib import closing
from io import FileIO
from typing import TYPE_CHECKING

from scriberrd.errors import TaskFailed
from scriberrd.protocol import (
    BlockDone,
    Failed,
    Finished,
    Loaded,
    Probed,
    Reply,
    Stopped,
)
from scriberrd.worker import engines
from scriberrd.worker.audio import RATE, Recording, Source
from scriberrd.worker.blocks import blocks, find_speech
from scriberrd.worker.describe import describe, is_out_of_memory
from scriberrd.worker.engines import Engine, Tick, Wanted
from scriberrd.worker.run import GivenUp, Run
from scriberrd.worker.threads import prefetch
from scriberrd.worker.transcribing import transcribe

if TYPE_CHECKING:
    from collections.abc import Callable


class Kept:
    """The engine of the last task, kept for the next task that wants the same."""

    def __init__(self) -> None:
        self._wanted: Wanted | None = None
        self._engine: Engine | None = None

    def get(self, wanted: Wanted, tick: Tick) -> Engine:
        """The engine for `wanted`; another engine is dropped before this one is loaded."""
        if self._engine is None or wanted != self._wanted:
            self.drop()
            self._engine, self._wanted = engines.load(wanted, tick), wanted
        return self._engine

    def drop(self) -> None:
        """Free the engine's memory."""
        self._engine = self._wanted = None
        gc.collect()


def perform(run: Run, kept: Kept, send: Callable[[Reply], None]) -> Reply:
    """Do a task: send replies on the way, and return the last one."""
    job, lease = run.task.job, run.task.lease
    try:
        return _transcribe(run, kept, send)
    except GivenUp:
        return Stopped(job=job, lease=lease)
    except TaskFailed as error:
        return Failed(job=job, lease=lease, code=error.failure, detail=error.detail)
    except Exception as error:  # noqa: BLE001 - whatever native code and plug-ins raise
        traceback.print_exc()
        code = "out_of_memory" if is_out_of_memory(error) else "engine_failed"
        failed = Failed(job=job, lease=lease, code=code, detail=describe(error))
    kept.drop()  # its state is unknown; only here, since the traceback above refers to it
    return failed


def _transcribe(run: Run, kept: Kept, send: Callable[[Reply], None]) -> Finished:
    task, settings = run.task, run.task.settings
    job, lease = task.job, task.lease
    with (
        _file(run) as file,
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
            )
        )
        engine = kept.get(Wanted.by(task), run.tick)
        engine.check(settings)
        send(Loaded(job=job, lease=lease, engine=engine.info))
        source = Source(recording.samples(), run.tick)
        if task.resume:
            source.skip(round(task.resume.position * RATE))
        cuts = blocks(source, round(settings.block_seconds * RATE), vad=settings.vad)
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


def _file(run: Run) -> FileIO:
    try:
        return FileIO(run.descriptor)
    except OSError as error:  # for example a folder
        os.close(run.descriptor)
        raise TaskFailed("read_failed", os.strerror(error.errno or 0)) from error
