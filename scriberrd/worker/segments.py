"""Make the segments of a transcript from its words, the same way whatever the engine gave.

A segment ends with a sentence, in a pause, or where it would become too long.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scriberrd.transcript import Word

LONGEST = 12.0  # seconds
PAUSE = 0.8  # seconds between two words
SENTENCE_ENDS = ".?!…。？！｡؟।"  # noqa: RUF001 - of many scripts
CLAUSE_ENDS = ",;:،、，；："  # noqa: RUF001 - of many scripts
CLOSING = "\"'”’»)]}」』）"  # noqa: RUF001 - of many scripts
INITIAL = 2  # signs of a word such as "A.", which ends no sentence


def split(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """The words of each segment, none of which is longer than 12 s, unless a word is."""
    first = 0
    for number, (word, following) in enumerate(pairwise(words), 1):
        if _ends_sentence(word) or following.start - word.end >= PAUSE:
            yield from _shortened(words[first:number])
            first = number
    if first < len(words):
        yield from _shortened(words[first:])


def _ends_sentence(word: Word) -> bool:
    text = word.word.strip().rstrip(CLOSING)
    initial = len(text) <= INITIAL and text[:1].isupper() and text.endswith(".")
    return text.endswith(tuple(SENTENCE_ENDS)) and not initial


def _shortened(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Halves and halves of halves, cut at a clause or at the longest pause."""
    if words[-1].end - words[0].start <= LONGEST or len(words) == 1:
        yield words
        return
    start, end = words[0].start, words[-1].end

    def merit(number: int) -> tuple[bool, bool, float, float]:
        """How well it can be cut before a word: first of all within the middle half."""
        before, after = words[number - 1], words[number]
        central = abs((before.end + after.start) / 2 - (start + end) / 2)
        clause = before.word.strip().endswith(tuple(CLAUSE_ENDS))
        return central <= (end - start) / 4, clause, after.start - before.end, -central

    at = max(range(1, len(words)), key=merit)
    yield from _shortened(words[:at])
    yield from _shortened(words[at:])
