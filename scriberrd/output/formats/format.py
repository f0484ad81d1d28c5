"""What a format is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scriberrd import settings
    from scriberrd.transcript import Result, Segment, Transcript


class Render(Protocol):
    """Writes a transcript, in pieces."""

    def __call__(
        self, transcript: Transcript | Result, labels: settings.SpeakerLabels = "auto", /
    ) -> Iterator[bytes]:
        """Write it; `labels` says how speakers are shown where the format has a choice."""


class Format(NamedTuple):
    """One way to write a transcript."""

    name: settings.Format  # which its files end in
    media_type: str
    render: Render


def who(segment: Segment, names: Mapping[str, str]) -> str:
    """Who says it, by name where there is one; "" when nobody knows."""
    speaker = segment.speaker or ""
    return " ".join(names.get(speaker, speaker).split())


def label(speaker: str, labels: settings.SpeakerLabels) -> str:
    """What is written before the words of a speaker; "" is nothing."""
    if not speaker or labels == "none":
        return ""
    return f"[{speaker}]" if labels == "brackets" else f"{speaker}:"
