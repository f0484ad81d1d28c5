"""Give a complete file its name, durably and without overwriting another file."""

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
    """Rename a file within a folder, unless the new name is taken.

    Args:
        folder: a descriptor of the folder.
        temporary: the old name.
        name: the new name.

    Raises:
        FileExistsError: the new name is taken; nothing was changed.
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
    # No hard links here: an empty file reserves the name for a moment.
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
