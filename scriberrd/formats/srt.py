"""SubRip subtitles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.formats.cues import clock, cues

if TYPE_CHECKING:
    from scriberrd.transcript import Transcript


def render(transcript: Transcript) -> bytes:
    """Write numbered cues; a speaker is named in the first cue of each turn."""
    blocks = []
    for number, cue in enumerate(cues(transcript, labels=True), 1):
        text = "\n".join(cue.lines).replace("-->", "→")  # SubRip has no escapes
        blocks.append(f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{text}\n")
    return "\n".join(blocks).encode()
