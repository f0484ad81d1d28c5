"""From blocks of sound to blocks of text: language, clips, and clips decoded beside each other.

A block needs from those before it nothing but the language, so that it can be transcribed beside
them, and a resumed task says the same.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.transcript import SURE, BlockResult
from scriberrd.worker.audio import RATE
from scriberrd.worker.clips import BETWEEN_LANGUAGES, LONGEST_PAUSE, Clip, pack
from scriberrd.worker.decoding import Decoded, decode
from scriberrd.worker.engines import Context
from scriberrd.worker.judging import seconds
from scriberrd.worker.language import choose, spread
from scriberrd.worker.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scriberrd.protocol import Task
    from scriberrd.worker.blocks import Block
    from scriberrd.worker.engines import Engine
    from scriberrd.worker.run import Run


class Plan(NamedTuple):
    """A block that is to be transcribed."""

    number: int
    block: Block
    clips: Sequence[Clip]
    language: str | None  # None while nobody has spoken
    probability: float | None  # None also for a language that is set


class Batch(NamedTuple):
    """Clips of a block that are decoded at once."""

    plan: Plan
    clips: Sequence[Clip]
    last: bool  # of its block


def transcribe(blocks: Iterable[Block], engine: Engine, run: Run[Task]) -> Iterator[BlockResult]:
    """Transcribe blocks, in order."""
    settings = run.task.settings
    size = settings.clips_at_once(engine.info.device)
    if settings.context == "carry":
        size = sys.maxsize  # each clip of a block waits for the one before
    most = run.task.hardware.threads

    def work(batch: Batch) -> tuple[Batch, list[Decoded]]:
        context = Context(settings, batch.plan.language or "")
        return batch, decode(batch.clips, engine, context, run.tick)

    plans = _planned(blocks, engine, run)
    batches = (batch for plan in plans for batch in _batches(plan, size, most))
    done: list[Decoded] = []
    run.pass_boundary()
    for batch, decoded in side_by_side(work, batches, most, lambda: run.share):
        done += decoded
        if batch.clips:
            run.reach((batch.plan.block.start + batch.clips[-1].span.end) / RATE)
        if batch.last:
            run.reach(batch.plan.block.end / RATE)
            yield _result(batch.plan, done)
            done = []
            run.pass_boundary()


def _planned(blocks: Iterable[Block], engine: Engine, run: Run[Task]) -> Iterator[Plan]:
    """The blocks with their clips and their language.

    As long as the language is not clear, each block is asked, and the clearest answer so far
    counts.
    """
    settings, resume = run.task.settings, run.task.resume
    longest_pause = BETWEEN_LANGUAGES if settings.multilingual else LONGEST_PAUSE
    language = resume.language if resume else None
    probability = resume.language_probability if resume else None
    for number, block in enumerate(blocks, resume.block if resume else 0):
        clips = pack(block, longest_pause)
        if clips and settings.language != "auto":
            language = settings.language
        elif clips and (probability or 0.0) < SURE:
            found = choose(engine.identify(spread(clips), run.tick), settings.languages)
            if language is None or found.probability > (probability or 0.0):
                language, probability = found
        yield Plan(number, block, clips, language, probability)


def _batches(plan: Plan, size: int, threads: int) -> Iterator[Batch]:
    """The clips as they are decoded: at least one batch, which may be empty.

    So many that each thread gets as many, since short recordings have few clips.
    """
    count = len(plan.clips)
    rounds = math.ceil(count / size / threads)
    number = max(1, min(count, rounds * threads))
    for n in range(number):
        part = plan.clips[n * count // number : (n + 1) * count // number]
        yield Batch(plan, part, last=n == number - 1)


def _result(plan: Plan, decoded: Sequence[Decoded]) -> BlockResult:
    block = plan.block
    words = tuple(word for clip in decoded for word in clip.words)
    if block.voiced is None:
        speech = seconds([(word.start, word.end) for word in words])
    else:
        speech = sum(end - start for start, end in block.voiced) / RATE
    return BlockResult(
        number=plan.number,
        start=block.start / RATE,
        end=block.end / RATE,
        speech=speech,
        language=plan.language,
        language_probability=plan.probability,
        segments=tuple(segment for clip in decoded for segment in clip.segments),
        words=words,
        gaps=tuple(gap for clip in decoded for gap in clip.gaps),
    )
