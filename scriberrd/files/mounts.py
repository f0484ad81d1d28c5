"""Mount points above a folder: files written into an unmounted one would be lost from sight."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def above(folder: bytes) -> Iterator[bytes]:
    """The folder and its parents, except the root; links are resolved."""
    folder = os.path.realpath(folder)
    while folder != b"/":
        yield folder
        folder = os.path.dirname(folder)


def mounted() -> set[bytes]:
    """All mount points in use: proc(5), mountinfo."""
    with open("/proc/self/mountinfo", "rb") as table:
        return {_plain(line.split(b" ")[4]) for line in table}


def _plain(path: bytes) -> bytes:
    # Spaces, tabs, line breaks and backslashes are written as three octal digits.
    return re.sub(rb"\\([0-7]{3})", lambda digits: bytes([int(digits[1], 8)]), path)


def is_bare(place: bytes) -> bool:
    """Whether a former mount point is empty or gone; otherwise it is an ordinary folder now.

    Raises:
        OSError: it can't be read.
    """
    return not (os.path.isdir(place) and os.listdir(place))
