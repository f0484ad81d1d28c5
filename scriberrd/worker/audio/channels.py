"""Which channels of a track have a sound of their own, by a bounded sample of the recording."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from scriberrd.worker.audio.input import opened
from scriberrd.worker.audio.samples import power
from scriberrd.worker.audio.tracks import look, looks
from scriberrd.worker.audio.view import View, read_failed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scriberrd.worker.audio.samples import Samples

MOST = 8  # channels that are told apart: each takes time and memory as the mix does
ALIKE = 0.01  # of the power of the louder one (-20 dB): so little tells nobody apart
FAINT = 1e-7  # power (-70 dB) of what decides nothing


def apart(view: View, track: int) -> tuple[int, ...]:
    """The channels that are to be heard alone; of those that are alike all along, the first.

    Raises:
        TaskFailed: invalid_media or read_failed.
    """
    container = opened(view)
    try:
        tracks = [container.streams.audio[track]]
        places = list(looks(container))
        found = distinct(look(container, tracks, *place, layout=None)[0] for place in places)
        view.check()
    except OSError as error:
        raise read_failed(error) from error
    finally:
        container.close()
    return found


def distinct(sounds: Iterable[Samples]) -> tuple[int, ...]:
    """Of several looks at the same channels, one row each: those that are to be heard alone.

    A channel is a copy of another one if both were loud at once, and alike whenever one was. One
    that was silent in all looks is kept, for somebody may speak there later. If no channels differ,
    all silent ones included, only the first is left: the mix of all loses nothing either.
    """
    differ: set[tuple[int, int]] = set()
    alike: set[tuple[int, int]] = set()
    count = 1
    for sound in sounds:
        count = max(count, len(sound))
        for one, other in combinations(range(len(sound)), 2):
            loudest = max(power(sound[one]), power(sound[other]))
            if loudest > FAINT:
                unlike = power(sound[one] - sound[other]) > ALIKE * loudest
                (differ if unlike else alike).add((one, other))
    copies = alike - differ
    kept: list[int] = []
    for channel in range(count if differ else 1):
        if all((before, channel) not in copies for before in kept):
            kept.append(channel)
    return tuple(kept)
