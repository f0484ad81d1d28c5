"""Mark the gaps of a transcript, for those who read its text."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.transcript import Again, Gap, Segment, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scriberrd.transcript import Result, Transcript

Part = TypeVar("Part", Segment, Word)
MARK = "[inaudible]"  # as transcribers write


def marked(transcript: Transcript | Result) -> Transcript | Result:
    """The same with "[inaudible]" where speech was heard and no words were found."""
    gaps = transcript.gaps
    if gaps is UNSET:
        return transcript
    segments = _among(transcript.segments, gaps, _segment)
    words = _among(transcript.words, gaps, _word)
    return replace(transcript, segments=segments, words=words)


def _among(
    parts: Iterable[Part], gaps: Iterable[Gap], mark: Callable[[Gap], Part]
) -> Iterable[Part]:
    """The marks among segments or words."""

    def merged() -> Iterator[Part]:
        marks = (mark(gap) for gap in gaps if gap.why == "no_words")
        return heapq.merge(parts, marks, key=lambda part: part.start)

    return Again(merged)


def _segment(gap: Gap) -> Segment:
    return Segment(start=gap.start, end=gap.end, text=MARK)


def _word(gap: Gap) -> Word:
    return Word(start=gap.start, end=gap.end, word=f" {MARK}")
