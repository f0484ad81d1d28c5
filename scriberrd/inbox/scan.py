"""List the files of an inbox. The scan is the truth; notifications are only hints."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.files.names import FOLDER
from scriberrd.model import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Found(NamedTuple):
    """A file in an inbox."""

    path: bytes  # relative to the inbox
    identity: Identity


def scan(
    root: Path,
    *,
    recursive: bool,
    wanted: Callable[[bytes], bool],
    unreadable: Callable[[bytes, OSError], None],
    beat: Callable[[], None] = lambda: None,
) -> Iterator[Found]:
    """List the regular files below a folder, in no order.

    Only directories are opened, so that nothing blocks. Links are not followed, hidden folders
    not entered, and no folder is entered twice, however it is mounted.

    Args:
        root: the folder, which may itself be a link.
        recursive: look into subfolders.
        wanted: whether a file of this name is of interest.
        unreadable: is called for each subfolder or file that can't be read.
        beat: is called as the scan progresses, and may raise to stop it.

    Raises:
        OSError: the root can't be read.
    """
    entered: set[tuple[int, int]] = set()
    waiting = [b""]  # folders to enter, relative to the root
    while waiting:
        folder = waiting.pop()
        try:
            for entry in _entries(root, folder, entered):
                beat()
                name = os.fsencode(entry.name)
                path = folder + b"/" + name if folder else name
                try:
                    if recursive and _is_folder(entry):
                        waiting.append(path)
                        continue
                    identity = _identity(entry) if wanted(name) else None
                except OSError as error:
                    unreadable(path, error)
                    continue
                if identity is not None:
                    yield Found(path, identity)
        except OSError as error:
            if not folder:
                raise
            unreadable(folder, error)


def _entries(
    root: Path, folder: bytes, entered: set[tuple[int, int]]
) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder, or none if it was entered before."""
    path = os.fsencode(root / os.fsdecode(folder))
    descriptor = os.open(path, FOLDER | os.O_NOFOLLOW if folder else FOLDER)
    try:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) not in entered:
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(descriptor) as entries:
                yield from entries
    finally:
        os.close(descriptor)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)


def _identity(entry: os.DirEntry[str]) -> Identity | None:
    """The identity of a file; None if it is not a regular file, or just gone."""
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Identity.of(status) if stat.S_ISREG(status.st_mode) else None
