"""Mount points on the way to a folder: where one is empty, files are written to nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def above(folder: bytes) -> Iterator[bytes]:
    """The folder and all that it lies in, but for the root; links are resolved."""
    folder = os.path.realpath(folder)
    while folder != b"/":
        yield folder
        folder = os.path.dirname(folder)


def is_mounted(folder: bytes) -> bool:
    """Whether another file system begins at this folder; not where there is none.

    Raises:
        OSError: it can't be looked at.
    """
    try:
        return os.stat(folder).st_dev != os.stat(os.path.dirname(folder)).st_dev
    except FileNotFoundError:
        return False


def missing(folder: bytes, known: Iterable[bytes]) -> bytes | None:
    """A known mount point on the way to a folder where nothing is mounted now, and nothing lies.

    One that holds files without a mount has become a plain folder.

    Raises:
        OSError: one of them can't be looked at.
    """
    for place in set(above(folder)).intersection(known):
        if not is_mounted(place) and not (os.path.isdir(place) and os.listdir(place)):
            return place
    return None
