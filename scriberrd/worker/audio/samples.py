"""Samples, and a stream of them that is read in pieces of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.frame import AudioFrame

RATE = 16_000  # samples a second
Samples = npt.NDArray[np.float32]


class Source:
    """The samples of a recording in order, in pieces of any size.

    `tick` is called for each piece that is decoded; what it raises comes through.
    """

    def __init__(self, pieces: Iterator[Samples], tick: Callable[[], None] = lambda: None) -> None:
        self._pieces, self._tick = pieces, tick
        self._rest: Samples = np.zeros(0, np.float32)
        self.position = 0  # samples that were read or skipped

    def read(self, count: int) -> Samples:
        """The next `count` samples; fewer only at the end."""
        arrays = list(self._next(count))
        return np.concatenate(arrays) if arrays else np.zeros(0, np.float32)

    def skip(self, count: int) -> None:
        """Skip `count` samples."""
        for _ in self._next(count):
            pass

    def _next(self, count: int) -> Iterator[Samples]:
        while count:
            if not len(self._rest):
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._tick()
                self._rest = piece
            part, self._rest = self._rest[:count], self._rest[count:]
            count -= len(part)
            self.position += len(part)
            yield part


def rows(packed: AudioFrame) -> npt.NDArray[Any]:
    """The samples of a packed frame, one row a channel.

    PyAV gives those of a planar frame at once, but dies of eight channels.
    """
    samples: npt.NDArray[Any] = packed.to_ndarray().reshape(-1, packed.layout.nb_channels).T
    return np.ascontiguousarray(samples)


def power(samples: Samples) -> float:
    """Their mean square; 0 of none."""
    return float(np.square(samples).mean(dtype=np.float64)) if len(samples) else 0.0


def silence(count: int) -> Iterator[Samples]:
    """`count` samples of silence, in pieces of a second."""
    for at in range(0, count, RATE):
        yield np.zeros(min(RATE, count - at), np.float32)
