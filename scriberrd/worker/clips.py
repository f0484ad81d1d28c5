"""Pack the speech of a block into clips, which are decoded alone.

A clip is what Whisper hears at once: at most 30 s, with the silence inside it. It begins and ends
in pauses, so that no word is cut, and rather in long ones than in short ones.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.blocks import Block, Span, quietest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST = 30 * RATE  # samples
PADDING = RATE * 2 // 5  # samples that are heard before and after speech
LONG_PAUSE = RATE  # samples; to cut there harms nothing
HARM = 1.5  # of a cut without any pause; an additional clip costs 1
# Decoded over and over, digital silence is where Whisper invents words: no clip spans more of it.
LONGEST_PAUSE = 10 * RATE  # samples
IN_A_CHANNEL = 3 * RATE  # samples; the same, where the others' turns are such silence
BETWEEN_LANGUAGES = RATE  # samples; the same, where each clip may have a language of its own


class Clip(NamedTuple):
    """A part of a block that is decoded alone."""

    block: Block
    span: Span  # of the block's samples

    @property
    def samples(self) -> Samples:
        """Its sound."""
        return self.block.samples[self.span.start : self.span.end]

    @property
    def start(self) -> float:
        """Seconds from the start of the recording."""
        return (self.block.start + self.span.start) / RATE

    @property
    def voiced(self) -> tuple[tuple[float, float], ...] | None:
        """The speech in it, in seconds from its start; None: nobody has listened for any."""
        if self.block.voiced is None:
            return None
        first, last = self.span
        return tuple(
            ((max(a, first) - first) / RATE, (min(b, last) - first) / RATE)
            for a, b in self.block.voiced
            if a < last and b > first
        )


def pack(block: Block, longest_pause: int = LONGEST_PAUSE) -> list[Clip]:
    """The clips of a block, in order; together they hold all that is to be heard.

    Args:
        block: with its speech.
        longest_pause: in samples; no clip has a longer one within.
    """
    if block.voiced is None:
        whole = Span(0, len(block.samples))
        return [Clip(block, span) for span in _split(block.samples, whole, LONGEST)]
    speech = [
        piece
        for span in block.voiced
        for piece in _split(block.samples, span, LONGEST - 2 * PADDING)
    ]
    edges = _edges(block.samples, speech)
    ranges = _grouped(speech, edges, longest_pause)
    return [Clip(block, Span(edges[first][1], edges[end][0])) for first, end in ranges]


def _split(samples: Samples, span: Span, longest: int) -> Iterator[Span]:
    """Pieces of at most `longest` samples, cut at the quietest moments."""
    start = span.start
    while span.end - start > longest:
        end = quietest(samples, start + longest // 2, start + longest)
        yield Span(start, end)
        start = end
    yield Span(start, span.end)


def _edges(samples: Samples, speech: Sequence[Span]) -> list[tuple[int, int]]:
    """For each place between two spans: where a clip before it ends, and one after it starts."""
    edges = []
    for before, after in pairwise((Span(0, 0), *speech, Span(len(samples), len(samples)))):
        pause = after.start - before.end
        if pause >= 2 * PADDING:
            edges.append((before.end + PADDING, after.start - PADDING))
        else:
            at = quietest(samples, before.end, after.start) if pause else after.start
            edges.append((at, at))
    if speech:  # there is nothing before the first, and nothing after the last
        edges[0] = (0, max(0, speech[0].start - PADDING))
        edges[-1] = (min(len(samples), speech[-1].end + PADDING), len(samples))
    return edges


def _grouped(
    speech: Sequence[Span], edges: Sequence[tuple[int, int]], longest_pause: int
) -> Iterator[tuple[int, int]]:
    """Which spans go into a clip together, as ranges: those with the least harm in sum."""
    count = len(speech)
    harm, first = [0.0], [0]  # of the first spans, and where their last clip begins
    for end in range(1, count + 1):
        pause = speech[end].start - speech[end - 1].end if end < count else LONG_PAUSE
        here = 1.0 + HARM * max(0.0, 1.0 - pause / LONG_PAUSE)
        best = (harm[end - 1] + here, end - 1)
        for start in range(end - 2, -1, -1):
            too_long = edges[end][0] - edges[start][1] > LONGEST
            if too_long or speech[start + 1].start - speech[start].end > longest_pause:
                break
            best = min(best, (harm[start] + here, start))
        harm.append(best[0])
        first.append(best[1])
    ranges = []
    while count:
        ranges.append((first[count], count))
        count = first[count]
    return reversed(ranges)
