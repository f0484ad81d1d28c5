"""Make frames of any form mono, 16 kHz."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from scriberrd.worker.audio.samples import RATE, Samples, power, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

STEREO = 2
CANCELLED = 0.1  # the share of the louder channel's power that is left in a mix that cancels
RESTORED = 0.2  # and in one that does so no longer
FAINT = 1e-7  # power (-70 dB) of what decides nothing


class Mix:
    """Gathers frames into pieces of about a second, resampled to 16 kHz mono.

    Stereo whose channels cancel each other would be silent: there, the louder channel is taken.
    Channels without places in a room, or in places that make no common layout, are all as loud as
    each other in the mix: the resampler would guess places for them, and leave out the third as a
    subwoofer, or not know how to mix them.

    Args:
        only: the channel to take all along; where there are fewer, the last one.
    """

    def __init__(self, only: int | None = None) -> None:
        self._only = only
        self.channel: int | None = None  # the one that was taken for the latest piece
        self.restart()

    def restart(self) -> None:
        """Forget what is held back."""
        self._fifo, self._resampler = AudioFifo(), AudioResampler("s16", "mono", RATE)
        self._form: tuple[str, str, int, Fraction | None] | None = (
            None  # of the frames since the last flush
        )

    @property
    def held(self) -> int:
        """The number of samples in the waiting frames, after resampling."""
        return self._fifo.samples * RATE // self._form[2] if self._form else 0

    def add(self, frame: AudioFrame) -> Iterator[Samples]:
        """The pieces that are ready once this frame is there."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate, frame.time_base)
        if form != self._form:  # some streams change their form midway
            yield from self.flush()
            self._form = form
        frame.pts = None  # the resampler would complain of gaps
        self._fifo.write(frame)
        if self._fifo.samples >= frame.sample_rate:
            yield from self._mixed(cast("AudioFrame", self._fifo.read()))

    def flush(self) -> Iterator[Samples]:
        """The samples held back; the next frame starts a new piece."""
        if self._form is not None:
            if self._fifo.samples:
                yield from self._mixed(cast("AudioFrame", self._fifo.read()))
            yield from self._resampled(None)
            self.restart()

    def _mixed(self, frame: AudioFrame) -> Iterator[Samples]:
        count, sound, channel = frame.layout.nb_channels, None, None
        if self._only is not None:
            channel = min(self._only, count - 1)
            sound = _planes(frame)[channel]
        elif count == STEREO:
            planes = _planes(frame)
            channel = _heard(planes, self.channel)
            sound = None if channel is None else planes[channel]
        if sound is None and frame.layout.name.startswith(f"{count} channels"):
            sound = _planes(frame).mean(axis=0)
        if channel != self.channel:
            yield from self._resampled(None)
            self._resampler, self.channel = AudioResampler("s16", "mono", RATE), channel
        if sound is not None:
            one = AudioFrame.from_ndarray(sound[None], "fltp", "mono")
            one.sample_rate = frame.sample_rate
            frame = one
        yield from self._resampled(frame)

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Samples]:
        for out in self._resampler.resample(frame):
            yield out.to_ndarray().reshape(-1).astype(np.float32) / 32768.0


def _planes(frame: AudioFrame) -> Samples:
    """The samples of a frame, one row a channel."""
    (packed,) = AudioResampler("flt", frame.layout.name, frame.sample_rate).resample(frame)
    return rows(packed).astype(np.float32)


def _heard(stereo: Samples, before: int | None) -> int | None:
    """The channel to take alone, or None: their mix; `before` is what was taken before."""
    left, right = stereo
    powers = [power(left), power(right)]
    mixed, loudest = power((left + right) / 2), max(powers)
    if loudest <= FAINT:
        return before
    if before is not None:
        return None if mixed > RESTORED * loudest else before
    return powers.index(loudest) if mixed < CANCELLED * loudest else None
