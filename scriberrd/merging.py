"""Who says which word: the words of a transcript and the turns of its speakers become one. Pure.

The turns come from a model that listens to voices, the times of the words from one that listens to
words: they differ by a word or so, above all where the speaker changes. So each word has a price
for each speaker, and so has each change of the speaker, which is cheap where people take turns: at
the end of a sentence or a pause. The cheapest way through all the words of a block (Viterbi's)
gives boundary words to whoever says the sentence, and leaves no single word in the mouth of another
unless the turns are sure of it. All times and prices are in seconds.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from itertools import accumulate, chain, groupby, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.transcript import Again

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from msgspec import UnsetType

    from scriberrd.transcript import BlockResult, Diarization, Segment, Turn, Word

NEAR = 1.5  # from a word to a turn that it may still belong to
LONGEST = 1.0  # what counts of a word: one that is stretched over a pause proves nothing
SHORTEST = 0.05
MURMUR = 0.5  # of the price, where a speaker is heard, but somebody else is louder

# The price of a change of the speaker between two words. A turn that is late or early by less than
# the difference of two of these does not break up a phrase.
AT_SENTENCE, AT_CLAUSE, IN_PHRASE = 0.05, 0.15, 0.4
LONG_PAUSE, PAUSE = 0.4, 0.15  # as good as the end of a sentence, or of a clause
SENTENCE_ENDS = frozenset(".?!\u2026\u3002\uff1f\uff01")
CLAUSE_ENDS = frozenset(",;:\u2013\u2014\u3001\uff0c\uff1b\uff1a")
CLOSING = "\"')]}\u00bb\u201c\u201d\u2019\u300d"  # what may stand behind them

OVERLAP = 0.3  # of a segment, in which others speak as well, that is told
NOBODY = 0xFFFF  # among the numbers of labels; there are never so many


class Merged(NamedTuple):
    """The blocks of a recording with the speakers of their segments and words."""

    blocks: Iterable[BlockResult]  # made on the way, again and again
    labels: tuple[str, ...]  # in order of first speech
    unknown: int = 0  # words that nobody is known to have said
    places: int = 0  # where they are
    channels: tuple[str, ...] = ()  # that the labels stand for, if they stand for any


def merged(blocks: Iterable[BlockResult], diarization: Diarization) -> Merged:
    """Give each segment and word its speaker; segments are split where the speaker changes.

    Args:
        blocks: in their order; they are gone through again and again.
        diarization: who speaks when.
    """
    turns = Turns(diarization.turns, diarization.exclusive)
    labels = tuple(dict.fromkeys(turn.speaker for turn in diarization.turns))
    numbers: dict[str | None, int] = {label: number for number, label in enumerate(labels)}
    numbers[None] = NOBODY
    # Decided once for all who go through the blocks: two bytes a word.
    decided = [array("H", map(numbers.__getitem__, assign(b.words, turns))) for b in blocks]

    def told() -> Iterator[BlockResult]:
        for block, decisions in zip(blocks, decided, strict=True):
            speakers = [None if one == NOBODY else labels[one] for one in decisions]
            yield _told(block, speakers, turns)

    unknown = [one == NOBODY for one in chain.from_iterable(decided)]
    places = sum(nobody for nobody, _ in groupby(unknown))
    return Merged(Again(told), labels, sum(unknown), places)


def channeled(blocks: Iterable[BlockResult]) -> Merged:
    """The speakers of a recording whose channels were transcribed one by one: "channel:0" ...

    Args:
        blocks: in their order; they are gone through again and again.
    """
    heard = chain.from_iterable(block.segments for block in blocks)
    channels = dict.fromkeys(one.speaker for one in heard if isinstance(one.speaker, str))
    labels: dict[str | UnsetType, str]
    labels = {channel: f"SPEAKER_{number:02}" for number, channel in enumerate(channels)}

    def told() -> Iterator[BlockResult]:
        for block in blocks:
            segments = (replace(s, speaker=labels.get(s.speaker, UNSET)) for s in block.segments)
            words = (replace(word, speaker=labels.get(word.speaker, UNSET)) for word in block.words)
            yield replace(block, segments=tuple(segments), words=tuple(words))

    return Merged(Again(told), tuple(labels.values()), channels=tuple(channels))


class Stretch(NamedTuple):
    """A time in which the same people speak."""

    start: float
    end: float
    speaker: str | None  # the one that counts
    voices: frozenset[str]  # all of them


class Turns:
    """Who speaks at a time, looked up."""

    def __init__(self, turns: Iterable[Turn], exclusive: Iterable[Turn]) -> None:
        """Cut the turns where anything changes: at most one of `exclusive` at a time counts."""
        self._stretches = list(_stretches(turns, exclusive))
        self._starts = [one.start for one in self._stretches]
        self._ends = [one.end for one in self._stretches]

    def _near(self, start: float, end: float, distance: float = 0.0) -> Sequence[Stretch]:
        first = bisect_left(self._ends, start - distance)
        return self._stretches[first : bisect_right(self._starts, end + distance)]

    def prices(self, start: float, end: float) -> dict[str | None, float]:
        """What it costs to give this time to each speaker who is near; who is heard first is first.

        That is how long he does not speak in it, or, if nobody does, how far he is away. Where
        nobody is near, nobody has it for nothing.
        """
        near, away = self._near(start, end, NEAR), dict[str | None, float]()
        for one in near:
            if one.speaker is not None:
                distance = max(one.start - end, start - one.end, 0.0)
                away[one.speaker] = min(distance, away.get(one.speaker, math.inf))
        silent = dict.fromkeys(away, end - start)
        for one in near:
            shared = min(end, one.end) - max(start, one.start)
            if shared > 0:
                for voice in one.voices & silent.keys() - {one.speaker}:
                    silent[voice] -= shared * (1 - MURMUR)
                if one.speaker is not None:
                    silent[one.speaker] -= shared
        if min(silent.values(), default=math.inf) < end - start:
            return silent
        return away or {None: 0.0}

    def overlap(self, start: float, end: float) -> float:
        """For how many seconds of this time more than one speaks."""
        near = (one for one in self._near(start, end) if len(one.voices) > 1)
        return sum(max(min(end, one.end) - max(start, one.start), 0.0) for one in near)


def _stretches(turns: Iterable[Turn], exclusive: Iterable[Turn]) -> Iterator[Stretch]:
    voices, counts = Counter[str](), Counter[str]()
    edges = sorted(
        (at, step, exclusively, turn.speaker)
        for exclusively, those in ((False, turns), (True, exclusive))
        for turn in those
        for at, step in ((turn.start, 1), (turn.end, -1))
    )
    for (start, step, exclusively, speaker), (end, *_) in pairwise(edges):
        (counts if exclusively else voices)[speaker] += step
        if start < end and (speaking := frozenset(+voices + counts)):
            yield Stretch(start, end, min(+counts, default=None), speaking)


def assign(words: Sequence[Word], turns: Turns) -> list[str | None]:
    """Who says each of these words; None where nobody speaks within `NEAR`.

    Args:
        words: that follow one another.
        turns: who speaks when.
    """
    # For each speaker of the word that was looked at last: the price of the cheapest way there.
    ways: dict[str | None, float] = {None: 0.0}
    steps: list[dict[str | None, str | None]] = []  # from whom each of those ways came
    for before, word in pairwise(chain([None], words)):
        assert word is not None  # noqa: S101 - for the type checker
        cheapest = min(ways, key=ways.__getitem__)
        change = 0.0 if before is None else change_price(before, word)
        further, step = dict[str | None, float](), dict[str | None, str | None]()
        for speaker, price in turns.prices(*weighed(word)).items():
            changed = ways[cheapest] + (0.0 if None in (speaker, cheapest) else change)
            stayed = ways.get(speaker, math.inf)
            step[speaker] = speaker if stayed <= changed else cheapest
            further[speaker] = price + min(stayed, changed)
        ways = further
        steps.append(step)
    speakers = list[str | None]()
    speaker = min(ways, key=ways.__getitem__)
    for step in reversed(steps):
        speakers.append(speaker)
        speaker = step[speaker]
    return speakers[::-1]


def weighed(word: Word) -> tuple[float, float]:
    """The part of a word that tells who says it: its start and end."""
    return word.start, word.start + min(max(word.end - word.start, SHORTEST), LONGEST)


def change_price(before: Word, after: Word) -> float:
    """What it costs that somebody else goes on between these words."""
    pause, last = after.start - before.end, before.word.rstrip().rstrip(CLOSING)[-1:]
    if pause >= LONG_PAUSE or last in SENTENCE_ENDS:
        return AT_SENTENCE
    if pause >= PAUSE or last in CLAUSE_ENDS:
        return AT_CLAUSE
    return IN_PHRASE


def _told(block: BlockResult, speakers: Sequence[str | None], turns: Turns) -> BlockResult:
    """The block with its speakers."""
    words = tuple(
        word if speaker is None else replace(word, speaker=speaker)
        for word, speaker in zip(block.words, speakers, strict=True)
    )
    segments = chain.from_iterable(
        _pieces(segment, said, turns) for segment, said in spelled(block.segments, words)
    )
    return replace(block, segments=tuple(segments), words=words)


def _pieces(segment: Segment, words: Sequence[Word], turns: Turns) -> Iterator[Segment]:
    """The segment as one of each speaker; without words, it is of who speaks most of it."""
    prices = turns.prices(segment.start, segment.end)
    whole = replace(segment, speaker=min(prices, key=prices.__getitem__) or UNSET)
    for piece, its in split(segment, words) if words else [(whole, words)]:
        parts: Sequence[Segment | Word] = its or [piece]
        overlap = sum(turns.overlap(part.start, part.end) for part in parts)
        yield replace(piece, overlap=True) if overlap >= OVERLAP else piece


def split(segment: Segment, words: Sequence[Word]) -> Iterator[tuple[Segment, Sequence[Word]]]:
    """Cut a segment where the speaker changes; a word that nobody said goes with those before it.

    Args:
        segment: what was said.
        words: all of its words.
    """
    first = next((word.speaker for word in words if word.speaker), UNSET)
    speakers = accumulate(words, lambda before, word: word.speaker or before, initial=first)
    changing = groupby(zip(islice(speakers, 1, None), words, strict=True), lambda pair: pair[0])
    runs = [(speaker, [word for _, word in run]) for speaker, run in changing]
    if len(runs) == 1:
        yield replace(segment, speaker=first), words
        return
    letters = [at for at, letter in enumerate(segment.text, 1) if not letter.isspace()]
    begin = count = 0
    for speaker, run in runs:
        count += sum(len("".join(word.word.split())) for word in run)
        end = letters[count - 1] if count else 0
        text, start, stop = segment.text[begin:end].strip(), run[0].start, run[-1].end
        yield replace(segment, speaker=speaker, text=text, start=start, end=stop), run
        begin = end


def spelled(
    segments: Iterable[Segment], words: Iterable[Word]
) -> Iterator[tuple[Segment, Sequence[Word]]]:
    """Each segment with the words it is made of, or with none when they say something else."""
    coming = iter(words)
    ahead: deque[Word] = deque()  # read, and not used up yet
    for segment in segments:
        text, said, count = "".join(segment.text.split()), "", 0
        while len(said) < len(text):
            if count == len(ahead) and (word := next(coming, None)) is not None:
                ahead.append(word)
            if count == len(ahead):
                break
            said += "".join(ahead[count].word.split())
            count += 1
        if said == text:
            yield segment, [ahead.popleft() for _ in range(count)]
        else:
            yield segment, ()
            while ahead and ahead[0].start < segment.end:
                ahead.popleft()
                if not ahead and (word := next(coming, None)) is not None:
                    ahead.append(word)
