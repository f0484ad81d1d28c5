"""What is in a file: one recording, or several in a row, and where each begins and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.worker.audio import boxes, headers, ogg
from scriberrd.worker.audio.part import MOST_PARTS, Part

if TYPE_CHECKING:
    from scriberrd.worker.audio.view import Bytes

TRUNCATED = 2.0  # seconds that may be missing at the end without a warning, and
TRUNCATED_SHARE = 0.02  # the share of the duration


def parts(file: Bytes) -> list[Part]:
    """The recordings in a file, at least one, in their order."""
    if file.at(0, 4) == ogg.CAPTURE:
        return ogg.links(file)
    if file.at(4, 4) in boxes.NAMES:
        return boxes.files(file)
    if not headers.begins(file, 0):
        return [Part(0, file.end)]
    found = [headers.read(file, 0)]
    while len(found) < MOST_PARTS and headers.begins(file, at := found[-1].end):
        another = headers.read(file, at)
        if another.end <= at:  # damage
            break
        found.append(another)
    return found


def truncated(ended: float, duration: float | None) -> bool:
    """Whether so much is missing after `ended` that the recording may be truncated."""
    if duration is None:
        return False
    return duration - ended > max(TRUNCATED, duration * TRUNCATED_SHARE)
