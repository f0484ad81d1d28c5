"""Transcribe one recording, from its descriptor to the last reply."""

from __future__ import annotations

import gc
import math
import os
import traceback
from contextlib import closing
from io import FileIO
from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.errors import TaskFailed
from scriberrd.protocol import (
    BlockDone,
    Failed,
    Finished,
    Loaded,
    Probed,
    Reply,
    Resume,
    Stopped,
)
from scriberrd.transcript import BlockResult, Segment, Word
from scriberrd.worker import engines
from scriberrd.worker.audio import RATE, Recording, Source
from scriberrd.worker.blocks import Block, blocks, find_speech, prefetch
from scriberrd.worker.describe import describe, is_out_of_memory
from scriberrd.worker.engines import Context, Engine, Phrase, Tick, Wanted
from scriberrd.worker.run import GivenUp, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Moved = TypeVar("Moved", Segment, Word)
PROMPT_TAIL = 1000  # characters; Whisper takes the last 223 tokens of them


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
            for result in _blocks(ahead, engine, run):
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


def _blocks(ahead: Iterable[Block], engine: Engine, run: Run) -> Iterator[BlockResult]:
    """Transcribe the blocks; each needs from those before it only what a checkpoint holds."""
    before = run.task.resume or Resume(
        block=0,
        position=0.0,
        language=None,
        language_probability=None,
        prompt=run.task.settings.initial_prompt,
    )
    for block in ahead:
        run.pass_boundary()
        result = _block(block, before, engine, run)
        yield result
        before = Resume(
            block=result.number + 1,
            position=result.end,
            language=result.language,
            language_probability=result.language_probability,
            prompt=result.prompt,
        )


def _block(block: Block, before: Resume, engine: Engine, run: Run) -> BlockResult:
    settings = run.task.settings
    language, probability, prompt = before.language, before.language_probability, before.prompt
    phrases: list[Phrase] = []
    if block.spans:
        code, sure = _language(block, before, engine, run)
        context = Context(settings, code, prompt)
        for phrase in engine.transcribe(block, context, run.tick):
            phrases.append(_placed(phrase, block))
            run.reach(phrases[-1].segment.end)
        if phrases:  # without speech, nothing changes for the next block
            language, probability = code, sure
            said = [phrase.segment for phrase in phrases]
            prompt = _prompt(prompt, said) if settings.condition_on_previous_text else ""
    run.reach(block.end / RATE)
    return BlockResult(
        number=before.block,
        start=block.start / RATE,
        end=block.end / RATE,
        speech=sum(b - a for a, b in block.voiced) / RATE,
        language=language,
        language_probability=probability,
        prompt=prompt,
        segments=tuple(phrase.segment for phrase in phrases),
        words=tuple(word for phrase in phrases for word in phrase.words),
    )


def _language(block: Block, before: Resume, engine: Engine, run: Run) -> tuple[str, float | None]:
    """Code and probability of the language: set, or detected before, or else detected here."""
    if run.task.settings.language != "auto":
        return run.task.settings.language, None
    if before.language is not None:
        return before.language, before.language_probability
    return engine.identify(block, run.tick)


def _prompt(before: str, segments: Iterable[Segment]) -> str:
    """The tail of the text, after the last suspect segment: that would infect what follows."""
    for segment in segments:
        before = f"{before} {segment.text}" if segment.suspect is UNSET else ""
    before = before.strip()
    return before if len(before) <= PROMPT_TAIL else before[-PROMPT_TAIL:].partition(" ")[2]


def _placed(phrase: Phrase, block: Block) -> Phrase:
    """The phrase with times from the start of the recording, and not beyond the block."""
    first = block.start / RATE
    last = math.floor(block.end / RATE * 1000) / 1000

    def moved(part: Moved) -> Moved:
        start = min(round(first + max(part.start, 0.0), 3), last)
        end = min(round(first + part.end, 3), last)
        return replace(part, start=start, end=max(start, end))

    return Phrase(moved(phrase.segment), tuple(moved(word) for word in phrase.words))
