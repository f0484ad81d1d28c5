"""Mount points on the way to a folder: where one is empty, files are written to nowhere."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def above(folder: bytes) -> Iterator[bytes]:
    """The folder and all that it lies in, but for the root; links are resolved."""
    folder = os.path.realpath(folder)
    while folder != b"/":
        yield folder
        folder = os.path.dirname(folder)


def mounted() -> set[bytes]:
    """Where something is mounted now: proc(5), mountinfo."""
    with open("/proc/self/mountinfo", "rb") as table:
        return {_plain(line.split(b" ")[4]) for line in table}


def _plain(path: bytes) -> bytes:
    # Blanks, tabs, line breaks and backslashes are written as three octal digits.
    return re.sub(rb"\\([0-7]{3})", lambda digits: bytes([int(digits[1], 8)]), path)


def is_bare(place: bytes) -> bool:
    """Whether nothing lies at what was a mount point; otherwise it has become a plain folder.

    Raises:
        OSError: it can't be looked at.
    """
    return not (os.path.isdir(place) and os.listdir(place))
