"""Cut a stream of samples into blocks of bounded length, at silences.

The end of a block depends only on the samples from its start on. So a run that starts again at any
block cuts the same blocks as a run that was not interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from scriberrd.worker.audio import RATE, Samples, Source

SHORTEST_PAUSE_MS = 160  # what counts as a pause in speech
LONG_SILENCE = 2 * RATE  # samples; shorter silences stay with the speech around them
PADDING = RATE * 2 // 5  # samples that are heard before and after speech
MARGIN = RATE  # samples at the end of a full buffer where no cut falls: no crumbs
VAD_SLICE = 500  # windows of 32 ms that the detector gets at once
LAST_RESORT = 10 * RATE  # samples at the end where the quietest moment is sought
MOMENT = RATE // 10  # samples


class Span(NamedTuple):
    """A range of samples, counted from the start of a block; the end is exclusive."""

    start: int
    end: int


class Block(NamedTuple):
    """A block of a recording, and the speech in it."""

    start: int  # samples from the start of the recording
    samples: Samples  # one-dimensional, 16 kHz
    voiced: tuple[Span, ...]  # speech alone, without its pauses
    spans: tuple[Span, ...]  # what is to be listened to: speech with its surroundings, or all

    @property
    def end(self) -> int:
        """Samples from the start of the recording."""
        return self.start + len(self.samples)


T = TypeVar("T")
Finder = Callable[[Samples], Sequence[Span]]


def find_speech(samples: Samples) -> list[Span]:
    """The spans of speech, by Silero VAD; pauses of 160 ms or more split them."""
    from faster_whisper.vad import (  # noqa: PLC0415 - heavy
        VadOptions,
        get_speech_timestamps,
        get_vad_model,
    )

    detector = get_vad_model()
    if not isinstance(detector.session, _Sliced):
        detector.session = _Sliced(detector.session)
    options = VadOptions(min_silence_duration_ms=SHORTEST_PAUSE_MS, speech_pad_ms=0)
    return [Span(s["start"], s["end"]) for s in get_speech_timestamps(samples, options)]


class _Sliced:
    """A session of Silero VAD that works in slices: 5 min at once would take 110 MB.

    It carries the state from one slice to the next, so that the results are the same.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, _: None, inputs: dict[str, Any]) -> tuple[Any, Any, Any]:
        windows, h, c = inputs["input"], inputs["h"], inputs["c"]
        found = []
        for at in range(0, len(windows), VAD_SLICE):
            given = {"input": windows[at : at + VAD_SLICE], "h": h, "c": c}
            probabilities, h, c = self._session.run(None, given)
            found.append(probabilities)
        return np.concatenate(found), h, c


def blocks(
    source: Source, limit: int, *, vad: bool = True, find: Finder = find_speech
) -> Iterator[Block]:
    """Cut the rest of `source` into blocks of at most `limit` samples, without gaps.

    Args:
        source: its position is the start of the first block.
        limit: in samples; at least 4 seconds.
        vad: listen to speech only; otherwise to everything.
        find: the voice activity detector.
    """
    buffer = source.read(0)
    while True:
        start = source.position - len(buffer)
        # One sample more than a block can hold tells whether it is the last one.
        buffer = np.concatenate([buffer, source.read(limit + 1 - len(buffer))])
        if not len(buffer):
            return
        last = len(buffer) <= limit
        window = buffer[:limit]
        voiced = find(window)
        end = len(window) if last else cut(window, voiced)
        inside = tuple(Span(a, min(b, end)) for a, b in voiced if a < end)
        yield Block(start, window[:end], inside, _heard(inside, end) if vad else (Span(0, end),))
        if last:
            return
        buffer = buffer[end:]


def cut(samples: Samples, voiced: Sequence[Span]) -> int:
    """Where to end a block that fills its buffer: at a sample in its second half.

    It is the middle of the longest silence there, or else of the quietest 100 ms near the end; of
    several equals the last.
    """
    first, last = len(samples) // 2, len(samples) - MARGIN
    silences = [(max(a, first), min(b, last)) for a, b in _silences(voiced, len(samples))]
    length, start = max(((b - a, a) for a, b in silences), default=(0, 0))
    if length >= MOMENT:
        return start + length // 2
    first = max(first, last - LAST_RESORT)
    moments = samples[first : first + (last - first) // MOMENT * MOMENT].reshape(-1, MOMENT)
    loudness = np.square(moments, dtype=np.float64).mean(axis=1)
    quietest = len(loudness) - 1 - int(np.argmin(loudness[::-1]))
    return first + quietest * MOMENT + MOMENT // 2


def clips(block: Block, longest: int) -> list[Span]:
    """The spans of a block, packed into clips of at most `longest` samples.

    A greedy pass makes them few: a clip holds several spans and the silence between them. A span
    that is too long is split in the middle of a pause, or else anywhere.
    """
    middles = [(a.end + b.start) // 2 for a, b in pairwise(block.voiced)]
    packed: list[Span] = []
    for span in block.spans:
        for piece in _split(span, middles, longest):
            if packed and piece.end - packed[-1].start <= longest:
                packed[-1] = Span(packed[-1].start, piece.end)
            else:
                packed.append(piece)
    return packed


def prefetch(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, each computed in a thread while the one before is used.

    Errors of `items` are raised here. Closing this waits for the item in progress.
    """
    with ThreadPoolExecutor(1, "prefetch") as thread:
        ahead = thread.submit(next, items, None)
        while (item := ahead.result()) is not None:
            ahead = thread.submit(next, items, None)
            yield item


def _split(span: Span, middles: Sequence[int], longest: int) -> Iterator[Span]:
    start = span.start
    while span.end - start > longest:
        within = [m for m in middles if start < m <= start + longest]
        end = within[-1] if within else start + longest
        yield Span(start, end)
        start = end
    yield Span(start, span.end)


def _silences(voiced: Sequence[Span], length: int) -> Iterator[Span]:
    at = 0
    for span in voiced:
        yield Span(at, span.start)
        at = span.end
    yield Span(at, length)


def _heard(voiced: Sequence[Span], length: int) -> tuple[Span, ...]:
    """Speech with short silences and some padding, as the VAD filter of faster-whisper keeps it.

    That filter is this detector with other options, so that one pass serves both purposes.
    """
    merged: list[Span] = []
    for span in voiced:
        if merged and span.start - merged[-1].end < LONG_SILENCE:
            merged[-1] = Span(merged[-1].start, span.end)
        else:
            merged.append(span)
    return tuple(Span(max(0, a - PADDING), min(length, b + PADDING)) for a, b in merged)
