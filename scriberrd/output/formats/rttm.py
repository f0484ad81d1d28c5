"""Rich Transcription Time Marked (NIST): who speaks when, without the words.

A line a turn: SPEAKER file channel start duration <NA> <NA> name <NA> <NA>
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import UNSET

from scriberrd.output.formats.format import Format
from scriberrd.transcript import called

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.settings import SpeakerLabels
    from scriberrd.transcript import Result, Transcript


def render(transcript: Transcript | Result, _labels: SpeakerLabels = "auto") -> Iterator[bytes]:
    """Write the turns, or where there are none, the segments; nothing without speakers."""
    names = called(transcript)
    file = _word(os.path.splitext(transcript.source.name)[0])
    for turn in transcript.segments if transcript.turns is UNSET else transcript.turns:
        if turn.speaker is not UNSET:
            who = _word(names.get(turn.speaker, turn.speaker))
            length = turn.end - turn.start
            yield (
                f"SPEAKER {file} 1 {turn.start:.3f} {length:.3f} <NA> <NA> {who} <NA> <NA>\n"
            ).encode()


def _word(text: str) -> str:
    """The text as one field: blanks separate fields."""
    return "_".join(text.split()) or "<NA>"


FORMAT = Format("rttm", "text/plain; charset=utf-8", render)
