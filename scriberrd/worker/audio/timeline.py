"""The times of a recording as a player shows them, whatever its timestamps do."""

from __future__ import annotations

import math

import numpy as np

from scriberrd.worker.audio.places import Places
from scriberrd.worker.audio.samples import RATE, Samples

LATE_START = 0.1  # seconds; smaller ones, also after damage, are what codecs begin with
GAP = 0.5  # seconds without samples that become silence; smaller ones may add up to this
MOST_SILENCE = 24 * 3600.0  # seconds; no timestamp makes us invent more
JITTER = 0.03  # seconds that timestamps may be off by and nothing follows
MOST_DRIFT = 1.0  # seconds; what is off by more has jumped
HASTE = 0.5  # the share of the drift that is made up for in a second
MOST_FITTING = 0.1  # the share of a piece that is added or taken away; speech bears it
TOLD = 0.2  # seconds of fitting that are worth a warning


class Timeline:
    """Compares the timestamps of a track with the samples that were made of it.

    A hole in the timestamps becomes silence. Where they run slower or faster than the samples, each
    piece is made a little shorter or longer. Timestamps that go back or far away are ignored.
    """

    def __init__(self) -> None:
        self._most = MOST_SILENCE
        self._begin(MOST_SILENCE)
        self._fitted = 0.0  # seconds
        self._holes, self._fits = Places(), Places()

    def _begin(self, most: float) -> None:
        self._most = most
        self._next: float | None = None  # where the frame after the last one should start
        self._offset = 0.0  # by which the first frame was late
        self._errors: list[float] = []  # of the frames since the last piece
        self._off = 0.0  # seconds by which the times are off

    def begin(self, duration: float | None, base: float) -> None:
        """A part of the recording begins at `base` seconds; it may last for `duration`."""
        self._begin(base + min(MOST_SILENCE, math.inf if duration is None else duration))

    def missing(self, at: float, length: float, made: int, *, damaged: bool) -> int:
        """The number of samples of silence to insert before a frame.

        Args:
            at: when the frame is to be heard, in seconds.
            length: of the frame, in seconds.
            made: the number of samples before it.
            damaged: it is known already that sound is missing before it.
        """
        if not math.isfinite(at) or at > self._most:
            return 0
        late, first = at - made / RATE, self._next is None
        step = at - (at if self._next is None else self._next)
        self._next = at + length
        if late >= (LATE_START if first or damaged else GAP):
            self._errors, self._offset, self._off = [], 0.0, 0.0
            if not first and not damaged:
                self._holes.add(made / RATE, at)
            return round(late * RATE)
        if first:
            self._offset = late
        self._off = late - self._offset
        if abs(step) < GAP and abs(self._off) < MOST_DRIFT:
            self._errors.append(self._off)
        return 0

    def fitted(self, piece: Samples, made: int) -> Samples:
        """A piece that begins after `made` samples, as long as its timestamps want it."""
        if not self._errors:
            return piece
        error = sum(self._errors) / len(self._errors)
        self._errors = []
        share = min(max(0.0, abs(error) - JITTER) * HASTE, MOST_FITTING)
        change = round(math.copysign(share * len(piece), error))
        if not change:
            return piece
        count = len(piece) + change
        self._fitted += change / RATE
        self._fits.add(made / RATE, (made + count) / RATE)
        times = np.arange(count) * (len(piece) / count)
        fitted: Samples = np.interp(times, np.arange(len(piece)), piece).astype(np.float32)
        return fitted

    def warnings(self) -> list[str]:
        """What was found, for people."""
        found = []
        if self._holes:
            found.append(f"no sound {self._holes}: silence was put there")
        if abs(self._fitted) >= TOLD:
            how = "stretched" if self._fitted > 0 else "shortened"
            found.append(
                f"the timestamps drift: the sound was {how} by {abs(self._fitted):.1f} s "
                f"{self._fits}, to keep the times of a player"
            )
        if abs(self._off) >= MOST_DRIFT:
            how = "ahead of" if self._off > 0 else "behind"
            found.append(
                f"at the end the timestamps are {abs(self._off):.1f} s {how} the sound: "
                "a player may show other times"
            )
        return found
