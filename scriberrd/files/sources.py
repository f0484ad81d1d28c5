"""Recordings as files: open them safely, and fingerprint them.

Others can write to inboxes, so nothing in them is trusted: no link on the way to a recording is
followed, and only regular files are read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.errors import (
    InboxUnavailable,
    NoAnswer,
    NotRegular,
    SourceChanged,
    SourceUnavailable,
)
from scriberrd.files.names import FOLDER
from scriberrd.model import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import FileIO

BELOW = FOLDER | os.O_NOFOLLOW
PIECE = 1 << 20  # bytes that are read at once
OFTEN = 64  # pieces between two looks whether what is read is still wanted
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not block


class Fingerprint(NamedTuple):
    """One version of a file, and the hash of its bytes."""

    identity: Identity
    sha256: str  # hexadecimal


def open_source(
    root: Path, path: bytes, *, device: int | None = None, links: Sequence[Path] = ()
) -> int:
    """Open a recording for reading; the caller closes the descriptor.

    Args:
        root: the folder of the inbox, which may itself be a link.
        path: relative to it.
        device: `Identity.dev` of the recording when it was found, if known. It distinguishes a
            deleted file from a file system that is not mounted.
        links: if it is a link, the folders below which it may lead; () is nowhere.

    Raises:
        InboxUnavailable: the inbox folder is missing, or its file system is not mounted.
        SourceUnavailable: the file system of a folder in it is not mounted.
        NotRegular: it is not a regular file.
        OSError: no such file, no permission, ... see `failure_code`.
    """
    *folders, name = path.split(b"/")
    if not {b"", b".", b".."}.isdisjoint((*folders, name)):
        raise ValueError(f"not a relative path: {path!r}")
    try:
        folder = os.open(root, FOLDER)
    except OSError as error:
        raise InboxUnavailable(error.errno, error.strerror) from error
    try:
        for inner in folders:
            outer, folder = folder, os.open(inner, BELOW, dir_fd=folder)
            os.close(outer)
        source = _open_file(folder, name, root, path, device, links)
    except FileNotFoundError as error:
        # An unmounted mount point is an empty folder on another device.
        if device not in (None, os.fstat(folder).st_dev) and not os.listdir(folder):
            kind = InboxUnavailable if _same(folder, root) else SourceUnavailable
            raise kind(error.errno, "its file system is not mounted") from error
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ENODEV):
            raise NotRegular(error.errno, "not a regular file") from error
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(source).st_mode):
        os.close(source)
        raise NotRegular(errno.EINVAL, "not a regular file")
    return source


def _open_file(
    folder: int, name: bytes, root: Path, path: bytes, device: int | None, links: Sequence[Path]
) -> int:
    try:
        return os.open(name, FILE, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.ELOOP or not links:
            raise
    # Where it leads may change from here on: that is opened as if there had been no link.
    real = os.path.realpath(os.path.join(os.fsencode(root), path))
    for place in map(os.path.realpath, map(os.fsencode, links)):
        start = place.rstrip(b"/") + b"/"
        if real.startswith(start):
            try:
                return open_source(Path(os.fsdecode(place)), real[len(start) :], device=device)
            except InboxUnavailable as error:
                raise SourceUnavailable(error.errno, error.strerror) from error
    raise NotRegular(errno.ELOOP, "a link that leads out of its folders")


def _same(folder: int, path: Path) -> bool:
    return os.path.samestat(os.fstat(folder), os.stat(path))


def gone(root: Path, path: bytes, device: int) -> bool:
    """Whether a recording has left its name, rather than that its file system is not mounted.

    Args:
        root: the folder of the inbox.
        path: relative to it.
        device: `Identity.dev` of the recording when it was found.

    Raises:
        OSError: it can't be looked at.
    """
    *folders, name = path.split(b"/")
    folder = os.open(root, FOLDER)
    try:
        for inner in folders:
            outer, folder = folder, os.open(inner, BELOW, dir_fd=folder)
            os.close(outer)
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return os.fstat(folder).st_dev == device
    finally:
        os.close(folder)
    return False


def open_version(root: Path, path: bytes, identity: Identity, *, links: Sequence[Path] = ()) -> int:
    """Open a recording as `open_source` does, if it is still this version.

    Raises:
        SourceChanged: it is another version.
        OSError: see `open_source`.
    """
    source = open_source(root, path, device=identity.dev, links=links)
    if Identity.of(os.fstat(source)).version != identity.version:
        os.close(source)
        raise SourceChanged(path)
    return source


def fingerprint(
    root: Path,
    path: bytes,
    *,
    settled: Identity | None = None,
    size: int | None = None,
    links: Sequence[Path] = (),
    beat: Callable[[], None] = lambda: None,
) -> Fingerprint:
    """Read and hash a whole recording.

    Args:
        root: the folder of the inbox.
        path: relative to it.
        settled: the version to read, if known.
        size: that it must have: no other is read.
        links: see `open_source`.
        beat: is called as reading progresses, and may raise to stop it.

    Raises:
        SourceChanged: it was changed or deleted meanwhile, or is another version.
        OSError: see `open_source`; or it can't be read to its end.
    """
    device = None if settled is None else settled.dev
    source = open_source(root, path, device=device, links=links)
    with os.fdopen(source, "rb", buffering=0) as file:
        identity = Identity.of(os.fstat(file.fileno()))
        if settled is not None and settled.version != identity.version:
            raise SourceChanged(path)
        if size not in (None, identity.size):
            raise SourceChanged(path)
        sha256 = _digest(file, path, identity, beat)
        if Identity.of(os.fstat(file.fileno())) != identity:
            raise SourceChanged(path)
    return Fingerprint(identity, sha256)


def _digest(file: FileIO, path: bytes, identity: Identity, beat: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(PIECE, max(identity.size, 1))))
    pieces = 0
    while size := file.readinto(buffer):
        beat()
        digest.update(buffer[:size])
        pieces += 1
        if pieces % OFTEN == 0:  # a terabyte that is deleted keeps its place until it is closed
            status = os.fstat(file.fileno())
            if status.st_nlink == 0 or Identity.of(status).version != identity.version:
                raise SourceChanged(path)
    return digest.hexdigest()


def failure_code(error: OSError) -> str:
    """The failure that an error of this room means for a job: a key of `failures.FAILURES`."""
    match error:
        case InboxUnavailable() | NoAnswer():
            return "inbox_unavailable"
        case SourceUnavailable():
            return "source_unavailable"
        case NotRegular():
            return "not_regular"
        case FileNotFoundError():
            return "source_missing"
        case PermissionError():
            return "unreadable"
        case _:
            return "read_failed"
