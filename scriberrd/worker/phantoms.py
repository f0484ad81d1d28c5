"""Phrases that Whisper writes where nobody speaks: it has learnt them from subtitles of videos.

Somebody may well say them, so they are marked, and left out only where no speech was heard.
"""

from __future__ import annotations

import re
from pathlib import Path

SIGNS = re.compile(r"[\W_]+")


def _plain(text: str) -> str:
    return SIGNS.sub(" ", text).strip().casefold()


PHANTOMS = frozenset(
    map(_plain, Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines())
)


def is_phantom(text: str) -> bool:
    """Whether a text is nothing but such a phrase."""
    return _plain(text) in PHANTOMS
