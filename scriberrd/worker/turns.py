"""What a diarizer gives, put in order: labels by first speech, nothing beyond the recording."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scriberrd.transcript import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def labels(turns: Iterable[Turn]) -> dict[str, str]:
    """The diarizer's labels -> SPEAKER_00 and so on, in order of first speech."""
    ordered = sorted(turns, key=lambda turn: (turn.start, turn.end))
    speakers = dict.fromkeys(turn.speaker for turn in ordered)
    return {speaker: f"SPEAKER_{number:02}" for number, speaker in enumerate(speakers)}


def tidy(turns: Iterable[Turn], names: Mapping[str, str], duration: float) -> tuple[Turn, ...]:
    """The turns by their starts, with other labels, in whole milliseconds.

    Args:
        turns: in any order.
        names: label -> the one to write; turns of others are left out.
        duration: seconds of the recording: what lies beyond is cut off.
    """
    found = []
    for turn in turns:
        start, end = round(max(turn.start, 0.0), 3), round(min(turn.end, duration), 3)
        if start < end and turn.speaker in names:
            found.append(Turn(start=start, end=end, speaker=names[turn.speaker]))
    return tuple(sorted(found, key=lambda turn: (turn.start, turn.end, turn.speaker)))


def alone(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The same without overlaps: whoever spoke first goes on until the end of the turn.

    Args:
        turns: by their starts.
    """
    return tuple(_alone(turns))


def _alone(turns: Sequence[Turn]) -> Iterator[Turn]:
    at = 0.0
    for turn in turns:
        if turn.end > at:
            yield Turn(start=max(turn.start, at), end=turn.end, speaker=turn.speaker)
            at = turn.end


def voices(
    embeddings: Mapping[str, Iterable[float]], names: Mapping[str, str]
) -> dict[str, tuple[float, ...]]:
    """The embeddings by other labels; one that is no direction (all zero, NaN) is left out."""
    found = {}
    for label, name in sorted(names.items(), key=lambda pair: pair[1]):
        voice = tuple(map(float, embeddings.get(label, ())))
        if any(voice) and all(map(math.isfinite, voice)):
            found[name] = voice
    return found
