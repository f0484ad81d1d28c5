"""The names that the files of a transcript may have. Pure functions of bytes."""

from __future__ import annotations

import hashlib
import re
from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 235  # bytes of a base name
CONTINUATION = range(0x80, 0xC0)  # bytes of UTF-8 within a character


def candidates(path: bytes, sha256: str) -> Iterator[bytes]:
    """The base names that the outputs of a recording may have, the best first; without end.

    Args:
        path: of the recording, relative to its inbox; its folder is mirrored.
        sha256: of the recording, in hexadecimal.
    """
    folder, slash, name = path.rpartition(b"/")
    stem = name.rpartition(b".")[0] or name
    marked = b"%s-%s" % (stem, sha256[:8].encode())
    for base in chain((stem, name, marked), (b"%s-%d" % (marked, n) for n in count(2))):
        yield folder + slash + _shortened(base)


def _shortened(name: bytes) -> bytes:
    """A name that leaves room for what is added to it; still unique, and UTF-8 if it was."""
    if len(name) <= LONGEST:
        return name
    mark = b"-" + hashlib.sha256(name).hexdigest()[:16].encode()
    end = LONGEST - len(mark)
    while end > LONGEST - len(mark) - 3 and name[end] in CONTINUATION:
        end -= 1
    return name[:end] + mark


def newer(name: bytes) -> Iterator[bytes]:
    """The names for a new version of a file that was edited, the best first; without end."""
    base, _, suffix = name.rpartition(b".")
    for mark in chain([b".new"], (b".new-%d" % number for number in count(2))):
        yield b"%s%s.%s" % (base, mark, suffix)


def is_newer(name: bytes, edited: bytes) -> bool:
    """Whether a name is one for a new version of a file of that other name."""
    base, _, suffix = edited.rpartition(b".")
    pattern = re.escape(base) + rb"\.new(-\d+)?\." + re.escape(suffix)
    return re.fullmatch(pattern, name) is not None
