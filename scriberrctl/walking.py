"""The files in a folder that somebody submits."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from scriberrctl.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

SKIPPED = ".scriberrignore"  # what a folder that is left out has in it


def files(
    folder: str,
    extensions: Collection[str],
    ignored: Collection[str],
    unreadable: Callable[[str, Unreadable], None],
) -> Iterator[str]:
    """The paths of all files below a folder that end as recordings do; hidden ones and links don't.

    Args:
        folder: where to begin.
        extensions: of recordings, in lower case.
        ignored: patterns of folders that are left out; see `matches`.
        unreadable: is told of each folder that can't be listed.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        unreadable(folder, Unreadable(f"can't be read: {error.strerror}"))
        return
    if SKIPPED in {entry.name for entry in entries}:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if not matches(entry.name, ignored):
                yield from files(entry.path, extensions, ignored, unreadable)
        elif entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
            stem, _, extension = entry.name.rpartition(".")
            if stem and extension.lower() in extensions:
                yield entry.path


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name, in upper or lower case, matches one of these patterns in lower case."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)
