"""What a format is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd import model
    from scriberrd.transcript import Result, Transcript


class Render(Protocol):
    """Writes a transcript, in pieces."""

    def __call__(
        self, transcript: Transcript | Result, labels: model.SpeakerLabels = "auto", /
    ) -> Iterator[bytes]:
        """Write it; `labels` says how speakers are shown where the format has a choice."""


class Format(NamedTuple):
    """One way to write a transcript."""

    name: model.Format  # which its files end in
    media_type: str
    render: Render
