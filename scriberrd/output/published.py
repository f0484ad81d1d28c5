"""Published files, looked at later: they may have been edited, moved or replaced by anything.

Others may write to an output folder, so no link below it is followed, and nothing is read that is
larger than what was published.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.errors import NotRegular
from scriberrd.files import sources
from scriberrd.files.names import FOLDER, within
from scriberrd.model import Identity, Print

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from io import BufferedReader
    from pathlib import Path

NOT_OURS = Identity(0, 0, 0, 0, 0)
LARGEST = 256 << 20  # bytes of a transcript that is read at once: a month of speech
END = 1 << 16  # bytes: more than what stands behind the words of a transcript


def opened(root: Path, name: bytes) -> BufferedReader:
    """A published file, for reading.

    Args:
        root: the output folder.
        name: relative to it.

    Raises:
        OSError: it has gone, or is something else now.
    """
    return os.fdopen(sources.open_source(root, name), "rb")


def require(root: Path, name: bytes) -> None:
    """See that a published file is there: raises OSError otherwise."""
    opened(root, name).close()


def read(root: Path, name: bytes, prints: Collection[Print] | None = None) -> bytes:
    """What a published file holds.

    Args:
        root: the output folder.
        name: relative to it.
        prints: of what it may hold; None: anything.

    Raises:
        OSError: it has gone, is something else now, or too large.
        ValueError: it holds something else.
    """
    with opened(root, name) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, "too large for a transcript")
    if prints is not None and not _match(hashlib.sha256(content).hexdigest(), prints):
        raise ValueError("it was edited")
    return content


class Inspected(NamedTuple):
    """An open file."""

    size: int  # bytes
    print: Print | None  # None: it is none of those that were looked for


def inspect(file: int, prints: Collection[Print]) -> Inspected:
    """See whether a file holds the bytes of one of these prints; not if it is too large for them.

    Args:
        file: its descriptor.
        prints: what is looked for.
    """
    size = os.fstat(file).st_size
    wanted = [one for one in prints if one.size in (size, None)]
    if not wanted or size > max(LARGEST, *(one.size or 0 for one in prints)):
        return Inspected(size, None)
    os.lseek(file, 0, os.SEEK_SET)
    with os.fdopen(file, "rb", closefd=False) as opened_file:
        sha256 = hashlib.file_digest(opened_file, "sha256").hexdigest()
    return Inspected(size, Print(sha256, size) if _match(sha256, wanted) else None)


def _match(sha256: str, prints: Collection[Print]) -> bool:
    return any(one.sha256 == sha256 for one in prints)


class Seen(NamedTuple):
    """What lies under a name."""

    identity: Identity | None  # None: nothing
    print: Print | None  # None: it is none of those that were looked for


def look(root: Path, name: bytes, prints: Collection[Print]) -> Seen:
    """See what lies under a name, and whether it holds the bytes of one of these prints.

    Raises:
        OSError: it can't be looked at.
    """
    try:
        with opened(root, name) as file:
            identity = Identity.of(os.fstat(file.fileno()))
            return Seen(identity, inspect(file.fileno(), prints).print)
    except FileNotFoundError:
        return Seen(None, None)
    except (NotRegular, PermissionError):
        return Seen(NOT_OURS, None)


def existing(root: Path, names: Iterable[bytes]) -> tuple[bytes, ...]:
    """Those of the names under which there is something.

    Raises:
        OSError: they can't be looked at.
    """
    return tuple(name for name in names if look(root, name, ()).identity is not None)


def is_of(root: Path, name: bytes, sha256: str) -> bool:
    """Whether a file looks like the canonical transcript of a recording with this SHA-256.

    Only its two ends are read.

    Raises:
        OSError: it has gone, or is something else now.
    """
    with opened(root, name) as file:
        begins = _begins(file)
        file.seek(max(0, os.fstat(file.fileno()).st_size - END))
        return begins and sha256.encode() in file.read(END)


def is_ours(root: Path, name: bytes) -> bool:
    """Whether a file looks like a canonical transcript, of whichever recording.

    Raises:
        OSError: it has gone, or is something else now.
    """
    with opened(root, name) as file:
        return _begins(file)


def _begins(file: BufferedReader) -> bool:
    return file.read(64).split()[:2] == [b"{", b'"schema":']


def remove(root: Path, name: bytes, prints: Collection[Print], before: float = math.inf) -> bool:
    """Delete what was published, if it is there: a regular file with the bytes of one of these.

    Args:
        root: the output folder.
        name: relative to it.
        prints: of what was published.
        before: the time before which it was written; a younger one stays.

    Returns:
        Whether there is none of ours any more; otherwise it is younger than that.

    Raises:
        OSError: it can't be read or deleted, or the output folder is not there.
    """
    os.close(os.open(root, FOLDER))
    with suppress(FileNotFoundError), within(root, name) as (folder, leaf):
        found = os.stat(leaf, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            return True
        with opened(root, name) as file:
            ours = inspect(file.fileno(), prints).print is not None
        if ours and found.st_mtime >= before:
            return False
        if ours:
            os.unlink(leaf, dir_fd=folder)
    return True
