"""Plain text to read: paragraphs, and who speaks where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scriberrd.transcript import Transcript

PAUSE = 2.0  # seconds of silence that begin a new paragraph


def render(transcript: Transcript) -> bytes:
    """Write paragraphs of text; nothing at all when nothing was said."""
    paragraphs: list[list[str]] = []
    speaker, end = "", 0.0
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        if not text:
            continue
        who = segment.speaker or ""
        if not paragraphs or who != speaker or segment.start - end >= PAUSE:
            paragraphs.append([f"{who}: {text}" if who else text])
        else:
            paragraphs[-1].append(text)
        speaker, end = who, segment.end
    return "\n".join(" ".join(paragraph) + "\n" for paragraph in paragraphs).encode()
