"""Mark the gaps of a transcript, for those who read its text."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.transcript import Gap, Segment, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scriberrd.transcript import Result, Transcript

Part = TypeVar("Part", Segment, Word)
MARK = "[inaudible]"  # as transcribers write


class _Marked(Generic[Part]):
    """Segments or words with the marks among them; can be gone through again and again."""

    def __init__(
        self, parts: Iterable[Part], gaps: Iterable[Gap], mark: Callable[[Gap], Part]
    ) -> None:
        self._parts: Iterable[Part] = parts
        self._gaps: Iterable[Gap] = gaps
        self._mark: Callable[[Gap], Part] = mark

    def __iter__(self) -> Iterator[Part]:
        marks = (self._mark(gap) for gap in self._gaps if gap.why == "no_words")
        return heapq.merge(self._parts, marks, key=lambda part: part.start)


def marked(transcript: Transcript | Result) -> Transcript | Result:
    """The same with "[inaudible]" where speech was heard and no words were found."""
    gaps = transcript.gaps
    if gaps is UNSET:
        return transcript
    segments = _Marked(transcript.segments, gaps, _segment)
    words = _Marked(transcript.words, gaps, _word)
    return replace(transcript, segments=segments, words=words)


def _segment(gap: Gap) -> Segment:
    return Segment(start=gap.start, end=gap.end, text=MARK)


def _word(gap: Gap) -> Word:
    return Word(start=gap.start, end=gap.end, word=f" {MARK}")
