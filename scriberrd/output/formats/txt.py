"""Plain text to read: paragraphs, and who speaks where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.output.formats.format import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.model import SpeakerLabels
    from scriberrd.transcript import Result, Transcript

PAUSE = 2.0  # seconds of silence that begin a new paragraph


def render(transcript: Transcript | Result, labels: SpeakerLabels = "auto") -> Iterator[bytes]:
    """Write paragraphs of text; nothing at all when nothing was said."""
    speaker, end = None, 0.0
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        if not text:
            continue
        who = segment.speaker or ""
        if who == speaker and segment.start - end < PAUSE:
            before = " "
        else:
            before = ("" if speaker is None else "\n\n") + (
                f"{who}: " if who and labels != "none" else ""
            )
        yield (before + text).encode()
        speaker, end = who, segment.end
    if speaker is not None:
        yield b"\n"


FORMAT = Format("txt", "text/plain; charset=utf-8", render)
