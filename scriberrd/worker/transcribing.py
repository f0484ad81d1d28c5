"""From blocks of sound to blocks of text: language, clips, and clips decoded beside each other.

A block needs from those before it nothing but the language, so that it can be transcribed beside
them, and a resumed task says the same.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from scriberrd.model import CHANNEL
from scriberrd.transcript import SURE, BlockResult
from scriberrd.worker import crosstalk
from scriberrd.worker.audio import RATE
from scriberrd.worker.clips import BETWEEN_LANGUAGES, IN_A_CHANNEL, LONGEST_PAUSE, Clip, pack
from scriberrd.worker.crosstalk import Said
from scriberrd.worker.decoding import Decoded, decode
from scriberrd.worker.engines import Context
from scriberrd.worker.judging import seconds
from scriberrd.worker.language import choose, spread
from scriberrd.worker.segments import split
from scriberrd.worker.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scriberrd.protocol import Task
    from scriberrd.transcript import Segment, Word
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
    language = resume.language if resume else None
    probability = resume.language_probability if resume else None
    for number, block in enumerate(blocks, resume.block if resume else 0):
        longest = IN_A_CHANNEL if block.parts else LONGEST_PAUSE
        if settings.multilingual:
            longest = BETWEEN_LANGUAGES
        clips = [clip for part in block.parts or (block,) for clip in pack(part, longest)]
        if settings.context == "none":  # carried, it goes through one channel after the other
            clips.sort(key=lambda clip: clip.span.start)
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
    segments, words = _text(plan, decoded)
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
        segments=segments,
        words=words,
        gaps=tuple(
            sorted((gap for clip in decoded for gap in clip.gaps), key=lambda gap: gap.start)
        ),
    )


def _text(plan: Plan, decoded: Sequence[Decoded]) -> tuple[tuple[Segment, ...], tuple[Word, ...]]:
    """The segments of a block by their starts, and its words in the order of their segments."""
    if not plan.block.parts:
        return (
            tuple(segment for clip in decoded for segment in clip.segments),
            tuple(word for clip in decoded for word in clip.words),
        )
    said = [
        one for clip, found in zip(plan.clips, decoded, strict=True) for one in _said(clip, found)
    ]
    said = sorted(crosstalk.once(said), key=lambda one: one.segment.start)
    return (
        tuple(replace(one.segment, speaker=f"{CHANNEL}{one.block.channel}") for one in said),
        tuple(
            replace(word, speaker=f"{CHANNEL}{one.block.channel}")
            for one in said
            for word in one.words
        ),
    )


def _said(clip: Clip, decoded: Decoded) -> Iterator[Said]:
    """The segments of a clip with their words, of which an engine may know none."""
    words = list(split(decoded.words)) or [()] * len(decoded.segments)
    for segment, own in zip(decoded.segments, words, strict=True):
        yield Said(segment, own, clip.block)
