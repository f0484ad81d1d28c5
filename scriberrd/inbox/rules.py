"""Which files of an inbox are recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# Extensions that browsers, download managers and editors give to incomplete files.
IN_PROGRESS = frozenset(
    {"part", "partial", "tmp", "temp", "crdownload", "download", "filepart", "opdownload", "aria2"}
)


def wanted(name: bytes, extensions: Collection[str]) -> bool:
    """Whether a file of this name is a recording.

    Args:
        name: without its folders.
        extensions: in lower case, without the dot.
    """
    stem, _, extension = name.rpartition(b".")
    if not stem or name.startswith(b".") or name.endswith(b"~"):
        return False
    lower = extension.decode("ascii", "replace").lower()
    return lower in extensions and lower not in IN_PROGRESS
