"""A complete file gets its name, durably, and nobody's file is overwritten."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # exFAT, some of SMB, FUSE


def name_new(folder: int, temporary: bytes, name: bytes) -> None:
    """Rename a file within a folder, unless there is one of that name.

    Args:
        folder: a descriptor of the folder.
        temporary: the name that the file has.
        name: the name that it gets.

    Raises:
        FileExistsError: there is a file of that name; nothing was changed.
    """
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
    else:
        os.unlink(temporary, dir_fd=folder)
        return
    # Here a file can't have two names: an empty file holds the name for a moment.
    os.close(os.open(name, NEW, 0o666, dir_fd=folder))
    try:
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
