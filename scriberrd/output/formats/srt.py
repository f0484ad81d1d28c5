"""SubRip subtitles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.output.formats.cues import clock, cues
from scriberrd.output.formats.format import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.settings import SpeakerLabels
    from scriberrd.transcript import Result, Transcript


def render(transcript: Transcript | Result, labels: SpeakerLabels = "auto") -> Iterator[bytes]:
    """Write numbered cues; a speaker is named in the first cue of each turn."""
    for number, cue in enumerate(cues(transcript, labels), 1):
        text = "\n".join(cue.lines).replace("-->", "→")  # SubRip has no escapes
        times = f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}"
        yield f"{chr(10) * (number > 1)}{number}\n{times}\n{text}\n".encode()


FORMAT = Format("srt", "application/x-subrip", render)
