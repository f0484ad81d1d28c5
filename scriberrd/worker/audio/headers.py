"""Containers that state the length of their sound in a header: WAV, W64, AIFF, CAF, AU, AVI.

A recorder that dies leaves a header that states too much or too little, and 32 bits wrap at 4 GiB.
FFmpeg believes it. Here it is compared with what the file holds.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.worker.audio.part import Part
from scriberrd.worker.audio.view import Bytes, Patch

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN_32, UNKNOWN_64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
W64_RIFF = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000")
MOST_CHUNKS = 10_000
AU_HEAD = 24  # bytes, at least
SHORTEST = {b"fmt ": 16, b"COMM": 18, b"desc": 24}  # bytes of chunks that describe the sound
SLACK = 8  # bytes at the end that are too few for a chunk, or to be missed
TAGS = frozenset(  # chunks that follow the sound, even if they are cut off
    (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"axml", b"cue ", b"smpl", b"JUNK", b"junk")
)


class Dialect(NamedTuple):
    """How a family of formats writes its chunks."""

    head: str  # of a chunk: name and size
    sound: bytes  # the chunk that holds the sound
    first: int  # bytes from the start of the recording to the first chunk
    align: int = 2
    whole: bool = False  # the size counts the chunk's head too


WAV = Dialect("<4sI", b"data", 12)
AIFF = Dialect(">4sI", b"SSND", 12)
W64 = Dialect("<16sQ", b"data", 40, align=8, whole=True)
CAF = Dialect(">4sQ", b"data", 8, align=1)


class Chunk(NamedTuple):
    """A chunk; places in bytes from the start of the file."""

    name: bytes  # four letters
    at: int
    body: int
    size: int  # of its body, as stated


def begins(file: Bytes, at: int) -> bool:
    """Whether a recording of these containers begins at this byte."""
    head = file.at(at, 16)
    return _dialect(head) is not None or head[:4] == b".snd" or _is_avi(head)


def read(file: Bytes, start: int) -> Part:
    """The recording that begins at `start`."""
    head = file.at(start, 24)
    if head[:4] == b".snd":
        return _au(head, file, start)
    if _is_avi(head):
        return _avi(file, start)
    dialect = _dialect(head)
    return Part(start, file.end) if dialect is None else _chunked(dialect, file, start)


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _dialect(head: bytes) -> Dialect | None:
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
    if head[:16] == W64_RIFF:
        return W64
    return CAF if head[:5] == b"caff\0" else None


def _chunks(dialect: Dialect, file: Bytes, at: int) -> Iterator[Chunk]:
    length = struct.calcsize(dialect.head)
    for _ in range(MOST_CHUNKS):
        head = file.at(at, length)
        if len(head) < length:
            return
        name, size = struct.unpack(dialect.head, head)
        if dialect.whole:
            size -= length
        yield Chunk(name[:4], at, at + length, size)
        if size < 0:
            return
        at += length + size
        at += -at % dialect.align  # recordings begin aligned, but for those after odd ones


def _chunked(dialect: Dialect, file: Bytes, start: int) -> Part:
    rate, wide, frames = None, None, None
    for chunk in _chunks(dialect, file, start + dialect.first):
        if chunk.name in (b"fmt ", b"COMM", b"desc"):
            rate = _bytes_a_second(chunk.name, file.at(chunk.body, min(chunk.size, 32)))
            frames = chunk.body + 2 if chunk.name == b"COMM" else None
        elif chunk.name == b"ds64":
            wide = chunk.body + 8
        elif chunk.name == dialect.sound:
            sound = _Sound(dialect, chunk, rate, wide, frames)
            return sound.part(file, start)
    return Part(start, file.end)


class _Sound(NamedTuple):
    """The chunk with the sound, and where its length is written."""

    dialect: Dialect
    chunk: Chunk
    rate: float | None  # bytes a second
    wide: int | None  # where a 64-bit size stands instead of that of the chunk
    frames: int | None  # where the number of frames stands

    def part(self, file: Bytes, start: int) -> Part:
        size = self.chunk.size
        if self.wide is not None and size == UNKNOWN_32:
            size = int.from_bytes(file.at(self.wide, 8), "little")
        elif self._open(size):
            return Part(start, file.end)
        stated_end = self.chunk.body + size
        stated = size / self.rate if self.rate else None
        if stated_end > file.size:
            return Part(start, file.end, stated=stated, cut=stated_end > file.size + SLACK)
        if (
            file.content <= stated_end
        ):  # nothing follows, or zeros that FFmpeg would search for chunks
            return Part(start, stated_end)
        following = _following(self.dialect, file, stated_end)
        if following is not None:
            return Part(start, following)
        return Part(start, file.end, self._patches(file.end), stated, short=True)

    def _open(self, size: int) -> bool:
        """Whether the header leaves the length open; FFmpeg then reads to the end."""
        return (self.dialect is WAV and size in (0, UNKNOWN_32)) or (
            self.dialect is CAF and size == UNKNOWN_64
        )

    def _patches(self, end: int) -> tuple[Patch, ...]:
        """A header that has the sound reach to `end`."""
        length = end - self.chunk.body
        if self.wide is not None and self.chunk.size == UNKNOWN_32:
            return (Patch(self.wide, struct.pack("<Q", length)),)
        if self.dialect is WAV:
            return (Patch(self.chunk.at + 4, struct.pack("<I", UNKNOWN_32)),)
        if self.dialect is CAF:
            return (Patch(self.chunk.at + 4, struct.pack(">Q", UNKNOWN_64)),)
        if self.dialect is W64:
            return (Patch(self.chunk.at + 16, struct.pack("<Q", length + 24)),)
        size = Patch(self.chunk.at + 4, struct.pack(">I", min(length, UNKNOWN_32 - 1)))
        return (size,) if self.frames is None else (size, Patch(self.frames, b"\x7f\xff\xff\xff"))


def _following(dialect: Dialect, file: Bytes, at: int) -> int | None:
    """The end of a recording whose sound ends at `at`: behind its other chunks.

    None if no chunks follow there: then it is sound.
    """
    for first in (at + -at % dialect.align, at):  # some writers forget to pad
        if begins(file, first):
            return first
        for chunk in _chunks(dialect, file, first):
            after = chunk.body + chunk.size
            if chunk.at != first and begins(file, chunk.at):
                return chunk.at
            if chunk.name[:3] == b"TAG" or chunk.name in TAGS:
                pass
            elif (
                after > file.content + SLACK or not chunk.name.isascii() or not chunk.name.isalnum()
            ):
                break
            if after + SLACK >= file.content:
                return file.end
    return None


def _bytes_a_second(name: bytes, body: bytes) -> float | None:
    """Of sound as it is stored, from the chunk that describes it; None if that is not constant."""
    if name == b"fmt ":
        return float(int.from_bytes(body[8:12], "little")) or None
    if len(body) < SHORTEST[name]:
        return None
    if name == b"COMM":
        channels, _, bits, exponent, mantissa = struct.unpack(">hIhHQ", body[:18])
        if body[18:22] not in (b"", b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"in24", b"in32"):
            return None
        power = (exponent & 0x7FFF) - 16383 - 63
        rate = mantissa * 2.0**power if power < 0 else 0.0  # no sound has 2**63 samples a second
        return float(rate * channels * ((bits + 7) // 8)) or None
    rate, _, _, size, frames = struct.unpack(">d4sIII", body[:24])
    return float(rate * size / frames) if frames and size and math.isfinite(rate) else None


def _au(head: bytes, file: Bytes, start: int) -> Part:
    offset, size, coding, rate, channels = struct.unpack(">5I", head[4:].ljust(20, b"\0"))
    if offset < AU_HEAD:
        return Part(start, file.end)
    if size == UNKNOWN_32:
        return Part(start, file.end)
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(coding)  # bytes
    stated = size / (rate * channels * width) if width and rate and channels else None
    stated_end = start + offset + size
    if stated_end > file.size:
        return Part(start, file.end, stated=stated, cut=stated_end > file.size + SLACK)
    if file.content <= stated_end or begins(file, stated_end):
        return Part(start, stated_end)
    return Part(start, file.end, (Patch(start + 8, b"\xff" * 4),), stated, short=True)


def _avi(file: Bytes, start: int) -> Part:
    """FFmpeg looks for the frames of an AVI file itself; only an end too early is noticed."""
    at = start
    while (head := file.at(at, 12))[:4] == b"RIFF" and head[8:11] == b"AVI":
        at += 8 + int.from_bytes(head[4:8], "little")
        at += at % 2
    return Part(start, file.end, cut=at > file.size + 1)
