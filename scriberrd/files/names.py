"""Names of files: reach a file below a folder, and give a complete one its name for good."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONGEST = 255  # bytes of a name, on every Linux file system
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # exFAT, some of SMB, FUSE


def parts(name: bytes) -> list[bytes]:
    """The folders of a relative name, and its last part: raises ValueError if it is none."""
    found = name.split(b"/")
    if not {b"", b".", b".."}.isdisjoint(found):
        raise ValueError(f"not a relative name: {name!r}")
    return found


@contextmanager
def within(root: Path, name: bytes, *, make: bool = False) -> Iterator[tuple[int, bytes]]:
    """Gives a descriptor of the folder of a file, and the file's name there.

    Args:
        root: the folder that the name begins at, which may itself be a link.
        name: relative to it; no link in it is followed.
        make: the folders that are missing below the root.

    Raises:
        OSError: a folder is missing, or a link.
    """
    *folders, leaf = parts(name)
    with ExitStack() as stack:
        folder = os.open(root, FOLDER)
        stack.callback(os.close, folder)
        for inner in folders:
            folder = enter(folder, inner, make=make)
            stack.callback(os.close, folder)
        yield folder, leaf


def enter(
    folder: int, name: bytes, *, make: bool = False, made: Callable[[int], None] | None = None
) -> int:
    """Open a subfolder; a link is refused.

    Args:
        folder: a descriptor of the folder above.
        name: of the subfolder.
        make: it, where there is none.
        made: is called with the descriptor of one that was made.
    """
    new = False
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
            os.fsync(folder)
            new = True
    inner = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    try:
        if new and made is not None:
            made(inner)
    except BaseException:
        os.close(inner)
        raise
    return inner


def numbered(name: bytes, number: int) -> bytes:
    """A name like this one: talk.wav, talk-2.wav, talk-3.wav ... Its extension stays.

    Args:
        name: relative; its folder stays, too.
        number: from 1.
    """
    folder, slash, leaf = name.rpartition(b"/")
    stem, dot, extension = leaf.rpartition(b".")
    if not stem:
        stem, dot, extension = leaf, b"", b""
    end = (b"" if number == 1 else b"-%d" % number) + dot + extension
    return folder + slash + stem[: max(1, LONGEST - len(end))] + end


def name_new(folder: int, temporary: bytes, name: bytes) -> None:
    """Rename a file within a folder, unless the new name is taken.

    Args:
        folder: a descriptor of the folder.
        temporary: the old name.
        name: the new name.

    Raises:
        FileExistsError: the new name is taken; nothing was changed.
    """
    name_also(folder, temporary, folder, name)
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)


def name_also(folder: int, old: bytes, into: int, new: bytes) -> None:
    """Give a file another name, unless that is taken. Where it can have only one, the old one goes.

    Args:
        folder: a descriptor of its folder.
        old: its name there.
        into: a descriptor of the folder of the other name.
        new: that name.

    Raises:
        FileExistsError: the new name is taken; nothing was changed.
    """
    try:
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=into, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
    else:
        return
    # No hard links here: an empty file reserves the name for a moment.
    os.close(os.open(new, NEW, 0o666, dir_fd=into))
    try:
        os.replace(old, new, src_dir_fd=folder, dst_dir_fd=into)
    except BaseException:
        os.unlink(new, dir_fd=into)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
