"""What a format is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scriberrd import model
    from scriberrd.transcript import Result, Transcript


class Format(NamedTuple):
    """One way to write a transcript."""

    name: model.Format  # which its files end in
    media_type: str
    render: Callable[[Transcript | Result], Iterator[bytes]]  # in pieces
