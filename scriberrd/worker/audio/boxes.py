"""MPEG-4 and QuickTime files: their boxes, and files in a row, of which FFmpeg plays the first."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from scriberrd.worker.audio.part import MOST_PARTS, Part

if TYPE_CHECKING:
    from scriberrd.worker.audio.view import Bytes

NAMES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # that such a file begins with
HEAD = struct.Struct(">I4s")
WIDE, TO_THE_END = 1, 0  # instead of a size: it follows in 64 bits; there is none


def files(file: Bytes) -> list[Part]:
    """The MPEG-4 files in a file; each begins with the type of its format."""
    starts, at, content = [0], 0, False
    while len(head := file.at(at, 16)) >= HEAD.size:
        size, name = HEAD.unpack_from(head)
        if size == WIDE and len(head) == HEAD.size + 8:
            size = int.from_bytes(head[HEAD.size :], "big")
        if name == b"ftyp" and content and len(starts) < MOST_PARTS:
            starts.append(at)
        content = name in (b"moov", b"mdat") or (content and name != b"ftyp")
        if size < HEAD.size:
            at = file.size if size == TO_THE_END else at
            break
        at += size
    ends = [*starts[1:], file.size]
    return [Part(a, b, cut=b == file.size < at) for a, b in zip(starts, ends, strict=True)]
