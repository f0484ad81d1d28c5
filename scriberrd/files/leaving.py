"""A recording leaves its inbox, in steps of which each may be the last before a crash.

Others can write to an inbox, so what lies under a name at one moment may be another file at the
next. The recording first gets a private name in its folder; then what has that name is judged, and
only that is deleted or moved. Anything else gets its name back, and no name that is taken is used.

The steps: `hold`, `judge`, then `delete` or `move`; or `put_back`. Each can be done again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from scriberrd.errors import NotRegular, SourceChanged
from scriberrd.files import sources, writers
from scriberrd.files.names import LONGEST, NEW, name_also, name_new, numbered, within
from scriberrd.model import Identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedWriter, FileIO
    from pathlib import Path

PRIVATE = b".scriberrd-leaving-"  # and TOKEN.NAME: what a recording is called on its way
PIECE = 4 << 20  # bytes that are copied at once, and made durable
OTHERS = (FileNotFoundError, NotRegular, SourceChanged)  # it is not what it was, or not there


class Departure(NamedTuple):
    """A recording that leaves."""

    root: Path  # the folder of its inbox
    path: bytes  # relative to it
    token: str  # hexadecimal: of this departure alone

    @property
    def mark(self) -> bytes:
        """What its private name begins with; in an archive, the name of an unfinished copy."""
        return PRIVATE + self.token.encode()

    @property
    def held(self) -> bytes:
        """The private name. The end of the old one stands in it, for whoever finds it."""
        name = self.path.rpartition(b"/")[2]
        return self.mark + b"." + name[max(0, len(name) + len(self.mark) + 1 - LONGEST) :]

    @property
    def held_path(self) -> bytes:
        """The private name, relative to the inbox."""
        folder, slash, _ = self.path.rpartition(b"/")
        return folder + slash + self.held

    def changed(self) -> NoReturn:
        """Raise what is to be raised when something else is held than was judged."""
        raise SourceChanged(self.path)


def token_of(path: bytes) -> str | None:
    """The token in the name of a file, if that is a private one."""
    name = path.rpartition(b"/")[2]
    if not name.startswith(PRIVATE):
        return None
    return name.removeprefix(PRIVATE).partition(b".")[0].decode("ascii", "replace")


def hold(going: Departure, device: int) -> bool:
    """Give whatever has the name of the recording the private name, unless that was done.

    Args:
        going: the recording.
        device: `Identity.dev` of the recording when it was found.

    Returns:
        Whether there is anything.

    Raises:
        InboxUnavailable, SourceUnavailable: it can't be known, since nothing is mounted there.
        OSError: it can't be renamed.
    """
    try:
        with within(going.root, going.path) as (folder, leaf):
            if _there(folder, going.held) is None:
                # Not by a link and an unlink: between them another file may get the name.
                os.rename(leaf, going.held, src_dir_fd=folder, dst_dir_fd=folder)
            return True
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        try:
            os.close(sources.open_source(going.root, going.path, device=device))
        except (NotRegular, FileNotFoundError):
            return False
        raise  # it has just come


def judge(going: Departure, sha256: str, size: int, beat: Callable[[], None]) -> Identity | None:
    """What is held, if it has the bytes of the recording; otherwise None.

    Args:
        going: the recording.
        sha256: of its bytes.
        size: of it, in bytes: what has another one is not read.
        beat: is called as reading progresses, and may raise to stop it.

    Raises:
        OSError: it can't be read, or somebody is still writing to it.
    """
    try:
        writers.require_none(going.root, going.held_path)  # nobody else can open it by its name
        found = sources.fingerprint(going.root, going.held_path, size=size, beat=beat)
    except OTHERS:
        return None
    return found.identity if found.sha256 == sha256 else None


def put_back(root: Path, held: bytes, name: bytes | None = None) -> bytes:
    """Give what is held its old name again, or the first free one like it.

    Args:
        root: the folder of the inbox.
        held: the private name, relative to it.
        name: the old one, without its folder; None: as it stands in the private one.

    Returns:
        The name that it has now, without its folder.

    Raises:
        FileNotFoundError: nothing is held.
    """
    with within(root, held) as (folder, leaf):
        old = name or leaf.removeprefix(PRIVATE).partition(b".")[2] or leaf.lstrip(b".")
        for number in count(1):
            new = numbered(old, number)
            try:
                _rename(folder, leaf, new)
            except FileExistsError:
                if not _same(folder, leaf, folder, new):
                    continue
                os.unlink(leaf, dir_fd=folder)  # a crash had left it both names
            os.fsync(folder)
            return new
    raise AssertionError  # for the type checker


def delete(going: Departure, judged: Identity) -> None:
    """Delete what is held: durable on return.

    Raises:
        SourceChanged: it is not what was judged.
    """
    with within(going.root, going.path) as (folder, _):
        _require(going, folder, judged)
        os.unlink(going.held, dir_fd=folder)
        os.fsync(folder)


def free(archive: Path, name: bytes) -> bytes:
    """The first name like this one that nothing has; its folder is made.

    Args:
        archive: the folder that it is in, which must exist.
        name: relative to it.
    """
    with within(archive, name, make=True) as (folder, leaf):
        numbers = (number for number in count(1) if not _there(folder, numbered(leaf, number)))
        return numbered(name, next(numbers))


def move(
    going: Departure,
    judged: Identity,
    sha256: str,
    archive: Path,
    name: bytes,
    beat: Callable[[], None],
    *,
    again: bool = False,
) -> None:
    """Move what is held into an archive, also on another file system: durable on return.

    Args:
        going: the recording.
        judged: what is held.
        sha256: of its bytes.
        archive: the folder, which must exist.
        name: the name that it gets, relative to the archive.
        beat: is called as it is copied, and may raise to stop it.
        again: it may have been moved there before a crash: the same bytes there are its own.

    Raises:
        FileExistsError: another file has that name.
        SourceChanged: what is held is not what was judged.
        OSError: the archive is full, read-only ... Nothing is left there.
    """
    with (
        within(going.root, going.path) as (folder, _),
        within(archive, name, make=True) as (there, leaf),
    ):
        _require(going, folder, judged)
        try:
            name_also(folder, going.held, there, leaf)
        except FileExistsError:
            moved = again and found(archive, name, sha256, beat)
            if not (moved or _same(folder, going.held, there, leaf)):
                raise
            _discard(going, there)  # a crash had left the copy both names
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(going, folder, sha256, there, leaf, beat)
        os.fsync(there)
        with suppress(FileNotFoundError):
            os.unlink(going.held, dir_fd=folder)
        os.fsync(folder)


def found(archive: Path, name: bytes, sha256: str, beat: Callable[[], None]) -> bool:
    """Whether a file in an archive has the bytes of a recording."""
    try:
        return sources.fingerprint(archive, name, beat=beat).sha256 == sha256
    except OTHERS:
        return False


def discard(going: Departure, archive: Path, name: bytes) -> None:
    """Remove an unfinished copy that was to get this name, if there is one."""
    with suppress(FileNotFoundError), within(archive, name) as (folder, _):
        _discard(going, folder)


def _discard(going: Departure, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(going.mark, dir_fd=folder)


def _copy(
    going: Departure, folder: int, sha256: str, there: int, leaf: bytes, beat: Callable[[], None]
) -> None:
    """Copy what is held to another file system, and give it its name when all of it is there."""
    _discard(going, there)
    with os.fdopen(os.open(going.held, sources.FILE, dir_fd=folder), "rb", buffering=0) as file:
        try:
            with os.fdopen(os.open(going.mark, NEW, 0o600, dir_fd=there), "wb") as copy:
                if _pour(file, copy, beat) != sha256:
                    going.changed()
            name_new(there, going.mark, leaf)
        except BaseException:
            with suppress(OSError):
                os.unlink(going.mark, dir_fd=there)
            raise


def _pour(file: FileIO, copy: BufferedWriter, beat: Callable[[], None]) -> str:
    """Copy all of a file, with its times and mode, durably; the SHA-256 of its bytes."""
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
        copy.write(piece)
        copy.flush()
        os.fdatasync(copy.fileno())  # nobody waits long for a slow disk
        beat()
    status = os.fstat(file.fileno())
    os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
    os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
    os.fsync(copy.fileno())
    return digest.hexdigest()


def _rename(folder: int, old: bytes, new: bytes) -> None:
    """Rename a file or, since anything may be held, a folder."""
    if stat.S_ISDIR(os.lstat(old, dir_fd=folder).st_mode):
        os.mkdir(new, dir_fd=folder)
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        name_new(folder, old, new)


def _require(going: Departure, folder: int, judged: Identity) -> None:
    status = _there(folder, going.held)
    if status is None or Identity.of(status) != judged:
        going.changed()


def _there(folder: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _same(folder: int, name: bytes, other: int, its_name: bytes) -> bool:
    one, two = _there(folder, name), _there(other, its_name)
    return one is not None and two is not None and os.path.samestat(one, two)
