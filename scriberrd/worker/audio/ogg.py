"""Ogg files: pages, and the links of a chain.

`cat a.ogg b.ogg` and radio streams make chains. Each link has its own codec setup, rate and
channels. FFmpeg opens a chain with the setup of the first link and decodes noise or nothing of the
others, so each link is opened on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.worker.audio.part import MOST_PARTS, Part

if TYPE_CHECKING:
    from scriberrd.worker.audio.view import Bytes

CAPTURE = b"OggS"
FIRST = 0x02  # the flag of the first page of a stream
HEAD = 27  # bytes before the table of segments
LONGEST_TABLE = 255
SCAN = 64 * 1024  # bytes searched at once for the next page, after damage


def links(file: Bytes) -> list[Part]:
    """The links of an Ogg file."""
    starts, within, at = [0], False, 0
    while at < file.content:
        head = file.at(at, HEAD + LONGEST_TABLE)
        if not head.startswith(CAPTURE) or len(head) < HEAD:
            at = _next_page(file, at + 1)
            continue
        first = bool(head[5] & FIRST)
        if first and within and len(starts) < MOST_PARTS:
            starts.append(at)
        within = not first
        table = head[HEAD : HEAD + head[26]]
        at += HEAD + head[26] + sum(table)
    ends = [*starts[1:], file.end]
    return [Part(a, b, cut=b == file.end < at) for a, b in zip(starts, ends, strict=True)]


def _next_page(file: Bytes, at: int) -> int:
    while at < file.size:
        found = file.at(at, SCAN).find(CAPTURE)
        if found >= 0:
            return at + found
        at += SCAN - len(CAPTURE) + 1
    return at
