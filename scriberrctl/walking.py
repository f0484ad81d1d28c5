"""The recordings in a folder that somebody submits, as an inbox would see them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scriberrctl.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

SKIPPED = ".scriberrignore"  # what a folder that is left out has in it
LITTER = frozenset({"@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "lost+found"})


def recordings(
    folder: str, extensions: Collection[str], unreadable: Callable[[str, Unreadable], None]
) -> Iterator[str]:
    """The paths of all recordings below a folder, in order; links are left out.

    Args:
        folder: where to begin.
        extensions: of recordings, in lower case.
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
        if entry.name.startswith(".") or entry.name in LITTER:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from recordings(entry.path, extensions, unreadable)
        elif entry.is_file(follow_symlinks=False):
            stem, _, extension = entry.name.rpartition(".")
            if stem and extension.lower() in extensions:
                yield entry.path
