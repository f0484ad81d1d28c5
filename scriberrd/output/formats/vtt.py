"""WebVTT subtitles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.output.formats.cues import clock, cues
from scriberrd.output.formats.format import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.settings import SpeakerLabels
    from scriberrd.transcript import Result, Transcript


def render(transcript: Transcript | Result, labels: SpeakerLabels = "auto") -> Iterator[bytes]:
    """Write cues, each with a voice tag where the speaker is known."""
    yield b"WEBVTT\n"
    for cue in cues(transcript, "none" if labels == "auto" else labels):
        text = _escape("\n".join(cue.lines))
        voice = f"<v {_escape(cue.speaker)}>" if cue.speaker and labels == "auto" else ""
        times = f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}"
        yield f"\n{times}\n{voice}{text}\n".encode()


def _escape(text: str) -> str:
    """Escape what is markup in a cue; without ">" there is no "-->" left either."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("\0", "\ufffd")


FORMAT = Format("vtt", "text/vtt", render)
