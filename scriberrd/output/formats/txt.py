"""Plain text to read: paragraphs, and who speaks where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.output.formats.format import Format, label, who
from scriberrd.transcript import called

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.settings import SpeakerLabels
    from scriberrd.transcript import Result, Transcript

PAUSE = 2.0  # seconds of silence that begin a new paragraph


def render(transcript: Transcript | Result, labels: SpeakerLabels = "auto") -> Iterator[bytes]:
    """Write paragraphs of text; nothing at all when nothing was said."""
    names, end = called(transcript), 0.0
    turn: str | None = None
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        if not text:
            continue
        speaker = who(segment, names)
        if speaker == turn and segment.start - end < PAUSE:
            yield f" {text}".encode()
        else:
            paragraph = " ".join(filter(None, [label(speaker, labels), text]))
            yield ("" if turn is None else "\n\n").encode() + paragraph.encode()
        turn, end = speaker, segment.end
    if turn is not None:
        yield b"\n"


FORMAT = Format("txt", "text/plain; charset=utf-8", render)
