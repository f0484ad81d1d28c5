"""JSON: the canonical transcript itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.output.formats.format import Format
from scriberrd.transcript import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.settings import SpeakerLabels
    from scriberrd.transcript import Result, Transcript


def render(transcript: Transcript | Result, _labels: SpeakerLabels = "auto") -> Iterator[bytes]:
    """Write the transcript; its labels are for programs, and stay as they are."""
    return encode(transcript)


FORMAT = Format("json", "application/json", render)
