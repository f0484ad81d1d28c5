"""Judge what an engine made of a clip: what may be wrong with it, and which attempt is best.

The limits of log probability and compression are Whisper's own; that of coverage finds what no
probability shows, since a model is sure of the words that it did write.
"""

from __future__ import annotations

import math
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scriberrd.transcript import Suspicion, Word
    from scriberrd.worker.engines import Heard

IMPROBABLE = -1.0  # mean log probability of the tokens
DOUBTFUL = -0.5  # the same, where it may be silence
SILENT = 0.6  # probability of no speech
REPETITIVE = 2.4  # compression ratio
FASTEST = 6.5  # words of speech a second; nobody talks faster for long
FASTEST_SIGNS = 16.0  # the same, of signs in scripts that have no spaces
# Seconds that a word covers at most, by its length: a longer one hides what was not heard.
AT_LEAST, A_SIGN, AT_MOST = 0.4, 0.1, 1.5
HOLE = 1.0  # seconds of speech without a word
BREATH = 0.5  # seconds; a shorter pause does not part what is one hole
MEMORY = 8  # words of a phrase that is looked for again right behind it
ECHOES = 4  # so many times the same phrase, and
ECHOED = 8  # so many words of it, are a loop
INSTANT = 0.25  # the share of words without length that tells of invented ones


class Verdict(NamedTuple):
    """What is wrong with an attempt; the better of two is the smaller one."""

    invented: bool  # it says more than can be said in the time
    missed: int  # seconds of speech without a word
    repetitive: bool  # people may speak so: it is bad only beside something as complete
    improbable: bool
    doubt: float  # negative mean log probability
    suspect: tuple[Suspicion, ...]  # what the reader is to be told of the words
    holes: tuple[tuple[float, float], ...]  # seconds from the start of the clip

    @property
    def good(self) -> bool:
        """Whether another attempt is not worth while."""
        return not (self.invented or self.holes or self.repetitive or self.improbable)


def judge(
    heard: Heard, words: Sequence[Word], voiced: Sequence[tuple[float, float]] | None
) -> Verdict:
    """Judge an attempt at a clip.

    Args:
        heard: what the engine made of it.
        words: with their times put right.
        voiced: the speech in it, in seconds from its start; None if nobody has listened for any.
    """
    suspect: list[Suspicion] = []
    logprob = 0.0 if heard.avg_logprob is None else heard.avg_logprob
    silence = heard.no_speech_prob or 0.0
    improbable = logprob < IMPROBABLE
    if improbable:
        suspect.append("low_confidence")
    repetitive = compression_ratio(heard.text) > REPETITIVE or loops(words)
    if repetitive:
        suspect.append("repetitive")
    hasty = is_hasty(heard.words, voiced)
    if hasty:
        suspect.append("too_fast")
    if silence > SILENT and logprob < DOUBTFUL:
        suspect.append("maybe_silence")
    missed = tuple(holes(words, voiced)) if words or not heard.text else ()
    return Verdict(
        invented=hasty,
        missed=round(seconds(missed)),
        repetitive=repetitive,
        improbable=improbable,
        doubt=-logprob,
        suspect=tuple(suspect),
        holes=missed,
    )


def compression_ratio(text: str) -> float:
    """How many times smaller a text becomes; a high one tells of repetition.

    Signs count as one byte each, as if the script had an alphabet: in UTF-8 any right text of most
    scripts but the Latin one would look repetitive.
    """
    signs = {sign: number % 256 for number, sign in enumerate(dict.fromkeys(text))}
    data = bytes(signs[sign] for sign in text)
    return len(data) / len(zlib.compress(data)) if data else 0.0


def loops(words: Sequence[Word]) -> bool:
    """Whether a phrase is said again and again."""
    said = [word.word.strip().casefold() for word in words]
    for size in range(1, MEMORY + 1):
        same = 0  # words in a row that are those of `size` words before
        for number in range(size, len(said)):
            same = same + 1 if said[number] == said[number - size] else 0
            if same >= max(ECHOED, ECHOES * size) - size:
                return True
    return False


def is_hasty(words: Sequence[Word], voiced: Sequence[tuple[float, float]] | None) -> bool:
    """Whether there are more words than can be spoken in the time, or words without a time."""
    if not words:
        return False
    span = words[-1].end - words[0].start
    spoken = span if voiced is None else seconds(voiced)
    spaced = sum(word.word[:1].isspace() for word in words) > len(words) / 2
    count = len(words) if spaced else sum(map(_signs, words))
    instant = sum(word.end <= word.start for word in words)
    return count > (FASTEST if spaced else FASTEST_SIGNS) * max(spoken, 1.0) or instant > max(
        ECHOES, INSTANT * len(words)
    )


def _spoken_in(word: Word) -> float:
    return min(AT_MOST, AT_LEAST + A_SIGN * len(word.word.strip()))


def _signs(word: Word) -> int:
    """The signs of a word, without marks above and below them."""
    return sum(not category(sign).startswith(("M", "Z")) for sign in word.word)


def holes(
    words: Sequence[Word], voiced: Sequence[tuple[float, float]] | None
) -> Iterator[tuple[float, float]]:
    """Where somebody speaks for a second or more, and there is no word.

    Args:
        words: in order of time.
        voiced: the speech, in seconds, in order, as are the words; None: nobody knows.
    """
    covered = [(word.start, min(word.end, word.start + _spoken_in(word))) for word in words]
    ends = [0.0, *(end for _, end in covered)]
    starts = [*(start for start, _ in covered), math.inf]
    for before, after in zip(ends, starts, strict=True):
        unsaid = [
            (max(start, before), min(end, after))
            for start, end in voiced or ()
            if end > before and start < after
        ]
        for part in _runs(unsaid):
            if seconds(part) >= HOLE:
                yield (part[0][0], part[-1][1])


def _runs(voiced: Sequence[tuple[float, float]]) -> Iterator[Sequence[tuple[float, float]]]:
    """The speech in parts between longer pauses."""
    first = 0
    for number, ((_, end), (start, _)) in enumerate(pairwise(voiced), 1):
        if start - end >= BREATH:
            yield voiced[first:number]
            first = number
    if voiced:
        yield voiced[first:]


def seconds(spans: Sequence[tuple[float, float]]) -> float:
    """The sum of their lengths."""
    return sum(end - start for start, end in spans)
