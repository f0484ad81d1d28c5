"""Decide which language is spoken, from what an engine makes of several parts of the speech."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scriberrd.worker.clips import Clip

CLIPS = 5  # at most so many decide


class Language(NamedTuple):
    """A language as its code ("en"), and its probability, 0 to 1."""

    code: str
    probability: float


def spread(clips: Sequence[Clip]) -> list[Clip]:
    """A few of these clips, evenly spread."""
    count = min(CLIPS, len(clips))
    return [clips[(len(clips) - 1) * i // max(1, count - 1)] for i in range(count)]


def choose(votes: Sequence[Mapping[str, float]], allowed: Sequence[str] = ()) -> Language:
    """The language with the highest mean probability.

    Args:
        votes: for each clip, the probability of each language.
        allowed: codes; the probability is then that among these. () allows all.
    """
    sums: defaultdict[str, float] = defaultdict(float)
    for vote in votes:
        for code, probability in vote.items():
            if code in allowed or not allowed:
                sums[code] += probability
    if not sums:
        return Language(allowed[0], 0.0)
    best = max(sums, key=lambda code: (sums[code], code))
    whole = sum(sums.values()) if allowed else len(votes)
    return Language(best, round(sums[best] / whole, 4) if whole else 0.0)
