"""What a microphone hears of those who speak into another one: it is to be written once.

Before decoding, speech that is a faint copy of another channel's is not listened to. After it, the
same words at the same time are those of the louder channel.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace

from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.audio.samples import power
from scriberrd.worker.segments import split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scriberrd.transcript import Segment, Word
    from scriberrd.worker.blocks import Block, Span

WINDOW = RATE // 2  # samples, at least, that are compared at once
LOUDER = 16.0  # times the power (12 dB): a voice is so much fainter in somebody else's microphone
ALIKE = 0.5  # of a correlation, which is 1 for copies
LAG = RATE // 20  # samples (50 ms): 17 m of air
AT_ONCE = 0.5  # seconds between the same word on two channels
TELLING = 3  # words in a row that two people do not say at once


class Said(NamedTuple):
    """A segment with its words, and the sound that it is from."""

    segment: Segment
    words: Sequence[Word]
    block: Block  # of its channel


def quiet(parts: Sequence[Block]) -> Iterator[Block]:
    """The same stretch of each channel, without the speech that another one has louder."""
    for part in parts:
        others = [other for other in parts if other is not part]
        yield part._replace(
            voiced=part.voiced
            and tuple(span for span in part.voiced if not _copied(part, span, others))
        )


def _copied(part: Block, span: Span, others: Sequence[Block]) -> bool:
    """Whether a span is a faint copy of other channels, all along: who speaks there is not lost."""
    mine = part.samples[span.start : span.end]
    theirs = [other.samples[span.start : span.end] for other in others]
    if all(power(one) < LOUDER * power(mine) for one in theirs):
        return False
    edges = np.linspace(0, len(mine), max(1, len(mine) // WINDOW) + 1, dtype=int)
    return all(
        any(alike(mine[start:end], one[start:end]) for one in theirs)
        for start, end in pairwise(edges)
    )


def alike(one: Samples, other: Samples) -> bool:
    """Whether two stretches of sound are mostly the same, if not at quite the same time."""
    one, other = (sound - sound.mean() if len(sound) else sound for sound in (one, other))
    size = 1 << (2 * max(len(one), len(other), 1) - 1).bit_length()
    spectrum = np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size))
    found = np.abs(np.fft.irfft(spectrum, size))
    best = max(found[: LAG + 1].max(), found[-LAG:].max())
    scale = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return scale > 0 and bool(best / scale > ALIKE)


def once(said: Sequence[Said]) -> list[Said]:
    """What was said, without the words that a louder channel has at the same time."""
    lost: set[int] = set()
    for one, other in combinations(said, 2):
        if one.block.channel != other.block.channel and _meet(one.segment, other.segment):
            lost.update(id(word) for word in _said_twice(one, other))
    return [kept for one in said for kept in _without(one, lost)] if lost else list(said)


def _meet(one: Segment, other: Segment) -> bool:
    return one.start < other.end + AT_ONCE and other.start < one.end + AT_ONCE


def _said_twice(one: Said, other: Said) -> Iterator[Word]:
    """The words that both have at the same time, as the fainter of the two has them.

    Two people may say a word or two at the same time: so few count only if they sound alike.
    """
    texts = [[_folded(word) for word in said.words] for said in (one, other)]
    matcher = SequenceMatcher(None, texts[0], texts[1], autojunk=False)
    for match in matcher.get_matching_blocks():
        pairs = [(one.words[match.a + n], other.words[match.b + n]) for n in range(match.size)]
        pairs = [(a, b) for a, b in pairs if abs(a.start - b.start) <= AT_ONCE]
        if not pairs:
            continue
        mine = _sound(one.block, pairs[0][0].start, pairs[-1][0].end)
        theirs = _sound(other.block, pairs[0][0].start, pairs[-1][0].end)
        if len(pairs) >= TELLING or alike(mine, theirs):
            fainter = 0 if power(mine) < power(theirs) else 1
            yield from (pair[fainter] for pair in pairs)


def _sound(block: Block, start: float, end: float) -> Samples:
    return block.samples[round(start * RATE) - block.start : round(end * RATE) - block.start]


def _folded(word: Word) -> str:
    return "".join(sign for sign in word.word.casefold() if sign.isalnum())


def _without(said: Said, lost: set[int]) -> Iterator[Said]:
    """What is left of a segment, as segments of their own."""
    if not any(id(word) in lost for word in said.words):
        yield said
        return
    run: list[Word] = []
    for word in (*said.words, None):
        if word is not None and id(word) not in lost:
            run.append(word)
        elif run:
            for words in split(run):
                text = "".join(one.word for one in words).strip()
                start, end = words[0].start, words[-1].end
                yield Said(
                    replace(said.segment, start=start, end=end, text=text), words, said.block
                )
            run = []
