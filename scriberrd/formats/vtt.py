"""WebVTT subtitles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.formats.cues import clock, cues

if TYPE_CHECKING:
    from scriberrd.transcript import Transcript


def render(transcript: Transcript) -> bytes:
    """Write cues, each with a voice tag where the speaker is known."""
    blocks = ["WEBVTT\n"]
    for cue in cues(transcript, labels=False):
        text = _escape("\n".join(cue.lines))
        voice = f"<v {_escape(cue.speaker)}>" if cue.speaker else ""
        blocks.append(f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{voice}{text}\n")
    return "\n".join(blocks).encode()


def _escape(text: str) -> str:
    """Escape what is markup in a cue; without ">" there is no "-->" left either."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("\0", "\ufffd")
