"""What a transcript is written as: one module a format, each a function to pieces of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.output.formats import canonical, srt, txt, vtt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scriberrd.model import Format
    from scriberrd.transcript import Result, Transcript

FORMATS: dict[Format, Callable[[Transcript | Result], Iterator[bytes]]] = {
    "json": canonical.render,
    "txt": txt.render,
    "srt": srt.render,
    "vtt": vtt.render,
}
