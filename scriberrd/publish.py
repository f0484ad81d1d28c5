"""Outputs into place, atomically.

A file is written beside its final place, fsynced, and only then given its name: a reader sees all
of it or nothing. What is not known as ours is never overwritten, and no link below the output
folder is followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scriberrd import sources
from scriberrd.errors import ScriberrdError
from scriberrd.files import NEW, name_new
from scriberrd.model import display

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from io import BufferedReader

TEMPORARY = b".%s.scriberrd-tmp"
LONGEST = 255 - len(TEMPORARY % b".json")  # bytes of a base name
CONTINUATION = range(0x80, 0xC0)  # bytes of UTF-8 within a character
TRIAL = 1 << 16  # bytes: about the outputs of an hour
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class NameTaken(ScriberrdError):
    """A file that is not ours has this name; nothing of the set was written."""

    code = "name_taken"
    status = 409

    def __init__(self, name: bytes) -> None:
        super().__init__(f"there is a file of somebody else: {display(name)!r}")
        self.name = name


class _Target(NamedTuple):
    name: bytes  # relative to the output folder
    folder: int  # the descriptor of the directory it goes to
    leaf: bytes  # its name there
    temporary: bytes  # and its name until it is complete
    owned: bool  # may be overwritten


def candidates(path: bytes, sha256: str) -> Iterator[bytes]:
    """The base names that the outputs of a recording may have, the best first; without end.

    Args:
        path: of the recording, relative to its inbox; its folder is mirrored.
        sha256: of the recording, in hexadecimal.
    """
    folder, slash, name = path.rpartition(b"/")
    stem = name.rpartition(b".")[0] or name
    marked = b"%s-%s" % (stem, sha256[:8].encode())
    for base in chain((stem, name, marked), (b"%s-%d" % (marked, n) for n in count(2))):
        yield folder + slash + _shortened(base)


def _shortened(name: bytes) -> bytes:
    """A name that leaves room for what is added to it; still unique, and UTF-8 if it was."""
    if len(name) <= LONGEST:
        return name
    mark = b"-" + hashlib.sha256(name).hexdigest()[:16].encode()
    end = LONGEST - len(mark)
    while end > LONGEST - len(mark) - 3 and name[end] in CONTINUATION:
        end -= 1
    return name[:end] + mark


def write(root: bytes | str, files: Mapping[bytes, bytes], owned: Collection[bytes]) -> None:
    """Bring a set of files into place, the JSON last; they are durable on return.

    The same call may be repeated after a crash, when the names were noted as owned before it.

    Args:
        root: the output folder, which must exist.
        files: relative name -> content; subfolders are made.
        owned: the names that may be overwritten.

    Raises:
        NameTaken: a name that is not owned exists, with other content. Nothing was written.
        OSError: no space, read-only, no permission ... Nothing new is visible; of the owned files
            each is the old or the new one.
    """
    with ExitStack() as stack:
        targets = _targets(os.fsencode(root), files, owned, stack)
        try:
            # At once, as each waits for the disk; the list raises what went wrong.
            with ThreadPoolExecutor(max(1, len(targets))) as threads:
                list(threads.map(lambda target: _stage(target, files[target.name]), targets))
            _place(targets)
        finally:
            for target in targets:
                _discard(target)


def try_folder(root: str) -> None:
    """See that files can be written to an output folder: raises OSError, and leaves nothing."""
    with tempfile.TemporaryFile(dir=root) as file:
        file.write(bytes(TRIAL))
        file.flush()
        os.fsync(file.fileno())


def failure_code(error: OSError) -> str:
    """What an error of an output folder means for a job: a key of `failures.FAILURES`."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk_full" if full else "output_unwritable"


def read(path: bytes, name: bytes) -> bytes:
    """What was published.

    Others may write to the output folder: a link that somebody put there shows no private file.

    Args:
        path: of the file, absolute.
        name: the part of the path that is below the output folder.

    Raises:
        OSError: it has gone, or is something else now.
    """
    with _opened(path, name) as file:
        return file.read()


def holds(path: bytes, name: bytes, hashes: Collection[str]) -> bool:
    """Whether there is a file with one of these SHA-256.

    Args:
        path: of the file, absolute.
        name: the part of the path that is below the output folder.
        hashes: in hexadecimal.
    """
    try:
        return _digest(path, name) in hashes
    except OSError:
        return False


def _opened(path: bytes, name: bytes) -> BufferedReader:
    root = Path(os.fsdecode(path.removesuffix(b"/" + name)))
    return os.fdopen(sources.open_source(root, name), "rb")


def _digest(path: bytes, name: bytes) -> str:
    with _opened(path, name) as file:  # anybody's by now, and of any size
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: bytes, name: bytes, hashes: Collection[str], before: float) -> bool:
    """Delete what was published, if it is there and as old as it is said to be.

    No link below the output folder is followed, and nothing but a regular file is deleted; nor one
    that somebody has edited or put there.

    Args:
        path: of the file, absolute.
        name: the part of the path that is below the output folder.
        hashes: the SHA-256 that it may have, in hexadecimal.
        before: the time before which it was written.

    Returns:
        Whether there is none of ours any more; otherwise it is younger than that.

    Raises:
        OSError: it can't be read or deleted, or the output folder is not there.
    """
    *parents, leaf = name.split(b"/")
    with ExitStack() as stack:
        folder = os.open(path.removesuffix(b"/" + name), FOLDER)
        stack.callback(os.close, folder)
        with suppress(FileNotFoundError):
            for parent in parents:
                folder = os.open(parent, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                stack.callback(os.close, folder)
            found = os.stat(leaf, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and _digest(path, name) in hashes:
                if found.st_mtime >= before:
                    return False
                os.unlink(leaf, dir_fd=folder)
    return True


def _targets(
    root: bytes, files: Mapping[bytes, bytes], owned: Collection[bytes], stack: ExitStack
) -> list[_Target]:
    """Open the folders, and look whether all names are free or ours."""
    folders = {b"": os.open(root, FOLDER)}
    stack.callback(os.close, folders[b""])
    targets = []
    for name in sorted(files, key=lambda name: (name.endswith(b".json"), name)):
        *parents, leaf = name.split(b"/")
        if not {b"", b".", b".."}.isdisjoint((*parents, leaf)):
            raise ValueError(f"not a relative name: {name!r}")
        folder = b""
        for parent in parents:
            inner = folder + parent + b"/"
            if inner not in folders:
                folders[inner] = _open_below(folders[folder], parent)
                stack.callback(os.close, folders[inner])
            folder = inner
        target = _Target(name, folders[folder], leaf, TEMPORARY % leaf, name in owned)
        if not target.owned and _exists(target):
            if not _is_in_place(target, files[name]):
                raise NameTaken(name)
            continue
        targets.append(target)
    return targets


def _open_below(folder: int, name: bytes) -> int:
    """Open a subfolder, making it first where there is none; a link is refused."""
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
        os.fsync(folder)
    return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _exists(target: _Target) -> bool:
    try:
        os.stat(target.leaf, dir_fd=target.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_in_place(target: _Target, content: bytes) -> bool:
    """Whether the file is there already, as a run leaves it that crashed before it could say so."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(target.leaf, flags, dir_fd=target.folder), "rb") as file:
            if file.read(len(content) + 1) != content:
                return False
            os.fsync(file.fileno())
    except OSError:
        return False  # a link, a folder, unreadable: not ours
    _discard(target)
    os.fsync(target.folder)
    return True


def _discard(target: _Target) -> None:
    with suppress(FileNotFoundError):
        os.unlink(target.temporary, dir_fd=target.folder)


def _stage(target: _Target, content: bytes) -> None:
    """Write the whole file under its temporary name."""
    _discard(target)  # what an earlier crash left
    # Plain os.open gives 0666 less the umask, as any program that writes documents does.
    with os.fdopen(os.open(target.temporary, NEW, 0o666, dir_fd=target.folder), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _place(targets: list[_Target]) -> None:
    """Give the files their names, or take all new ones back."""
    placed: list[_Target] = []
    folders = {target.folder for target in targets}
    try:
        for target in targets:
            if target.name.endswith(b".json"):  # it tells of the others: they come first, durably
                _sync(folders)
            if target.owned:
                _replace(target)
            else:
                _link(target)
            placed.append(target)
        _sync(folders)
    except BaseException:
        for target in reversed(placed):
            if not target.owned:
                os.unlink(target.leaf, dir_fd=target.folder)
        raise


def _sync(folders: Collection[int]) -> None:
    for folder in folders:
        os.fsync(folder)


def _replace(target: _Target) -> None:
    folder = target.folder
    os.replace(target.temporary, target.leaf, src_dir_fd=folder, dst_dir_fd=folder)


def _link(target: _Target) -> None:
    """Give the file its name unless somebody else was first."""
    try:
        name_new(target.folder, target.temporary, target.leaf)
    except FileExistsError as error:
        raise NameTaken(target.name) from error
