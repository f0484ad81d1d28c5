"""How the blocks of a recording become its transcript. Pure functions."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.transcript import SURE, Again, Result, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scriberrd.transcript import BlockResult, EngineInfo, Segment, SourceInfo

T = TypeVar("T")

NO_SPEECH = "no speech was found"  # the warning of a transcript without text


def assemble(
    blocks: Iterable[BlockResult],
    *,
    duration: float,
    engine: EngineInfo,
    source: SourceInfo,
    processing_seconds: float,
    word_timestamps: bool,
    warnings: Iterable[str],
) -> Result:
    """Join the blocks of a whole recording.

    A recording without speech gives an empty transcript that says so in its warnings.

    Args:
        blocks: in their order; they are gone through several times, so no iterator will do.
        duration: of the recording, in seconds.
        engine: what made them.
        source: the recording.
        processing_seconds: that the work took, all runs together.
        word_timestamps: whether it is to hold the words, too.
        warnings: of the worker; those that are there twice are said once.
    """
    speech, words, spelled, said = 0.0, 0, 0, False
    known, sums = 0, []  # probabilities of words: how many, and the sum of each block's
    gaps, missed = False, list[float]()  # seconds of speech without words, of each gap
    language = probability = None
    for block in blocks:
        texts = [segment.text.split() for segment in block.segments]
        probabilities = [p for word in block.words if (p := word.probability) is not None]
        speech += block.speech
        words += len(block.words)
        spelled += sum(map(len, texts))
        said = said or any(texts)
        known += len(probabilities)
        sums.append(math.fsum(probabilities))
        gaps = gaps or bool(block.gaps)
        missed += (gap.end - gap.start for gap in block.gaps if gap.why == "no_words")
        if language is None or (block.language_probability or 0.0) > (probability or 0.0):
            language, probability = block.language, block.language_probability
    if not said:
        language = probability = None
    return Result(
        language=language,
        language_probability=probability,
        duration=duration,
        speech_duration=round(speech, 3),
        segments=Again(lambda: _numbered(blocks)),
        words=_joined(blocks, lambda block: block.words) if word_timestamps else (),
        gaps=_joined(blocks, lambda block: block.gaps) if gaps else UNSET,
        engine=engine,
        source=source,
        stats=Stats(
            words=words or spelled,
            processing_seconds=round(processing_seconds, 3),
            real_time_factor=round(processing_seconds / duration, 4) if duration > 0 else None,
            confidence=round(math.fsum(sums) / known, 4) if known else None,
        ),
        warnings=tuple(dict.fromkeys((*warnings, *_warnings(language, probability, missed, said)))),
    )


def _joined(blocks: Iterable[BlockResult], parts: Callable[[BlockResult], Iterable[T]]) -> Again[T]:
    return Again(lambda: chain.from_iterable(map(parts, blocks)))


def _numbered(blocks: Iterable[BlockResult]) -> Iterator[Segment]:
    segments = chain.from_iterable(block.segments for block in blocks)
    for number, segment in enumerate(segments, 1):
        yield replace(segment, id=f"seg_{number:06d}")


def _warnings(
    language: str | None, probability: float | None, missed: Sequence[float], said: bool
) -> Iterator[str]:
    """What a reader should know of the text."""
    if not said:
        yield NO_SPEECH
    if probability is not None and probability < SURE:
        yield (
            f"the language is not clear: {language} with a probability of {probability:.2f};"
            " set language, or languages to choose from"
        )
    if missed:
        places = "1 place" if len(missed) == 1 else f"{len(missed)} places"
        yield f"{sum(missed):.1f} s of speech have no words, in {places}: see gaps"
