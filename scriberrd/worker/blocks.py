"""Cut a stream of samples into blocks of bounded length, at silences.

The end of a block depends only on the samples from its start on. So a run that starts again at any
block cuts the same blocks as a run that was not interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scriberrd.worker.audio import RATE, Samples, Source

SHORTEST_PAUSE_MS = 160  # what counts as a pause in speech
MARGIN = RATE  # samples at the end of a full buffer where no cut falls: no crumbs
VAD_SLICE = 500  # windows of 32 ms that the detector gets at once
LAST_RESORT = 10 * RATE  # samples at the end where the quietest moment is sought
MOMENT = RATE // 10  # samples
NEARLY = 0.25  # of the power of speech: no silence any more
AS_QUIET = 2.0  # times the power of the quietest moment
# The detector is deaf to what is much quieter than -20 dBFS, and hears it when it is amplified.
LOUD_ENOUGH = 0.1  # of full scale: the root mean square of what only a tenth of a block exceeds
MOST_GAIN = 30.0


class Span(NamedTuple):
    """A range of samples, counted from the start of a block; the end is exclusive."""

    start: int
    end: int


class Block(NamedTuple):
    """A block of a recording, and the speech in it."""

    start: int  # samples from the start of the recording
    samples: Samples  # one-dimensional, 16 kHz
    voiced: tuple[Span, ...] | None  # speech without its pauses; None: nobody listened for it
    channel: int | None = None  # whose sound it is; None: of all of them
    parts: tuple[Block, ...] = ()  # the same stretch of each channel, where they are told apart

    @property
    def end(self) -> int:
        """Samples from the start of the recording."""
        return self.start + len(self.samples)


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
    found = get_speech_timestamps(amplified(samples), options)
    return [Span(s["start"], s["end"]) for s in found]


def amplified(samples: Samples) -> Samples:
    """The same sound, so loud that its loudest tenth is at a usual level; never quieter."""
    power = _power(samples)
    if not len(power):
        return samples
    gain = min(MOST_GAIN, LOUD_ENOUGH / max(math.sqrt(np.quantile(power, 0.9)), 1e-9))
    return samples if gain <= 1 else np.clip(samples * np.float32(gain), -1, 1)


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
        vad: listen for speech; otherwise all is taken for it.
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
        voiced = find(window) if vad else None
        end = len(window) if last else cut(window, voiced or ())
        inside = tuple(Span(a, min(b, end)) for a, b in voiced or () if a < end)
        yield Block(start, window[:end], inside if vad else None)
        if last:
            return
        buffer = buffer[end:]


def cut(samples: Samples, voiced: Sequence[Span]) -> int:
    """Where to end a block that fills its buffer: at a sample in its second half.

    It is the quietest moment of the longest silence there. The detector may be deaf to somebody, so
    what is nearly as loud as speech is no silence. Without one it is the quietest moment near the
    end.
    """
    first, last = len(samples) // 2, len(samples) - MARGIN
    between = [(max(a, first), min(b, last)) for a, b in _silences(voiced, len(samples))]
    silences = sorted((span for span in between if span[1] - span[0] >= MOMENT), key=_length)
    speech = np.concatenate([_power(samples[a:b]) for a, b in voiced] or [np.zeros(0)])
    limit = NEARLY * speech.mean() if len(speech) else math.inf
    while silences:
        at = quietest(samples, *silences.pop())
        if _power(samples[at - MOMENT // 2 : at + MOMENT // 2])[0] <= limit:
            return at
    return quietest(samples, max(first, last - LAST_RESORT), last)


def quietest(samples: Samples, first: int, last: int) -> int:
    """The middle of the quietest 100 ms from `first` to `last`; of several, the most central.

    Where there is less than that, it is the middle of all.
    """
    count = (last - first) // MOMENT
    if not count:
        return (first + last) // 2
    power = _power(samples[first:last])
    quiet = np.flatnonzero(power <= AS_QUIET * power.min())
    at = int(quiet[np.argmin(np.abs(quiet - (count - 1) / 2))])
    return first + at * MOMENT + MOMENT // 2


def _power(samples: Samples) -> npt.NDArray[np.float64]:
    """The mean square of each moment."""
    moments = samples[: len(samples) // MOMENT * MOMENT].reshape(-1, MOMENT)
    sums: npt.NDArray[np.float64] = np.einsum("ij,ij->i", moments, moments, dtype=np.float64)
    return sums / MOMENT


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _silences(voiced: Sequence[Span], length: int) -> Iterator[Span]:
    at = 0
    for span in voiced:
        yield Span(at, span.start)
        at = span.end
    yield Span(at, length)
