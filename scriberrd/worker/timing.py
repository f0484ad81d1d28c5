"""Put the times of words right: an aligner knows neither pauses nor that a word takes time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scriberrd.transcript import Word

EDGE = 0.1  # seconds that a word may begin before its speech is heard, and end after it
LONG = 2.0  # seconds; a longer word hides a pause
SHORTEST = 0.02  # seconds: the resolution of Whisper's times


def timed(
    words: Sequence[Word], voiced: Sequence[tuple[float, float]] | None, length: float
) -> tuple[Word, ...]:
    """The words with times that don't overlap, reach into no silence, and take a while each.

    Args:
        words: in their order; times in seconds from the start of the clip.
        voiced: the speech in the clip, in seconds; None if nobody has listened for any.
        length: of the clip, in seconds.
    """
    shortest = min(SHORTEST, length / max(1, len(words)))
    found: list[Word] = []
    earliest = 0.0
    for word in (_clung(word, voiced or ()) for word in words):
        start = max(word.start, earliest)
        earliest = max(word.end, start + shortest)
        found.append(replace(word, start=start, end=earliest))
    latest = length
    for number, word in reversed(list(enumerate(found))):
        end = min(word.end, latest)
        latest = min(word.start, end - shortest)
        found[number] = replace(word, start=latest, end=end)
    return tuple(found)


def _clung(word: Word, voiced: Sequence[tuple[float, float]]) -> Word:
    """The word within the speech that it belongs to: of several parts, the longest one."""
    parts = [
        (min(word.end, end + EDGE) - max(word.start, start - EDGE), start, end)
        for start, end in voiced
        if start - EDGE < word.end and end + EDGE > word.start
    ]
    if not parts:
        return replace(word, end=min(word.end, word.start + LONG))
    first, last = parts[0][1], parts[-1][2]
    if word.end - word.start > LONG:
        _, first, last = max(parts)
    start = max(word.start, first - EDGE)
    return replace(word, start=start, end=max(start, min(word.end, last + EDGE)))
