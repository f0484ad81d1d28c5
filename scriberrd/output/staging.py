"""Outputs into place, atomically.

A file is written beside its final place, fsynced, and only then given its name: a reader sees all
of it or nothing. What is not known as ours is never overwritten, nor what was edited since it was
published, and no link below the output folder is followed.

A set of files is staged, surveyed and placed, in this order and by one run at a time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.errors import NameTaken, OutputChanged, Unmounted
from scriberrd.files import mounts
from scriberrd.files.names import FOLDER, NEW, enter, name_new, parts
from scriberrd.model import Identity, Print, display
from scriberrd.output import naming, published
from scriberrd.output.permissions import USUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from scriberrd.output.permissions import Permissions

TEMPORARY = b".scriberrd-%d.%s.tmp"  # of a job and a format: no two jobs stage under one name
PIECE = 4 << 20  # bytes that are made durable at once: nobody waits long for a slow disk
TRIAL = 1 << 16  # bytes: about the outputs of an hour


class Target(NamedTuple):
    """Where a staged file is to go."""

    staged: bytes  # the name that it was staged for
    name: bytes  # the name that it gets: another one where that file was edited
    there: Identity | None  # what of ours is there now, and is replaced
    same: bool = False  # it is the same already


def stage(
    root: Path,
    job: int,
    files: Mapping[bytes, Iterable[bytes]],
    beat: Callable[[], None] = lambda: None,
    permissions: Permissions = USUAL,
) -> dict[bytes, Print]:
    """Write a set of files under their temporary names; they are durable on return.

    Args:
        root: the output folder, which must exist.
        job: whose files they are.
        files: relative name -> content; subfolders are made.
        beat: is called for each piece that is written; what it raises comes through.
        permissions: of them, and of new folders.

    Returns:
        name -> what was written for it.

    Raises:
        OSError: no space, read-only, no permission ... Nothing is left.
    """
    prints = {}
    with (
        _below(root, made=permissions.give_folder) as find,
        _discarding_failures(root, job, files),
        ExitStack() as stack,
    ):
        written = []
        for name, content in files.items():
            folder, _ = find(name)
            temporary = _temporary(job, name)
            with suppress(FileNotFoundError):  # what an earlier crash left
                os.unlink(temporary, dir_fd=folder)
            # Plain os.open gives 0666 less the umask, as any program that writes documents does.
            file = os.fdopen(os.open(temporary, NEW, 0o666, dir_fd=folder), "wb")
            written.append(stack.enter_context(file))
            permissions.give(file.fileno())
            digest, size, synced = hashlib.sha256(), 0, 0
            for piece in content:
                digest.update(piece)
                size += file.write(piece)
                if size - synced >= PIECE:
                    file.flush()
                    os.fdatasync(file.fileno())
                    synced = size
                beat()
            file.flush()
            prints[name] = Print(digest.hexdigest(), size)
        for file in written:  # all of them first: most of their way to the disk is the same
            os.fsync(file.fileno())
            beat()
    return prints


def survey(
    root: Path,
    staged: Mapping[bytes, Print],
    mine: Collection[Print],
    ever: Collection[bytes],
    taken: Collection[bytes] = (),
) -> tuple[list[Target], list[bytes]]:
    """Find the names that staged files are to get.

    Args:
        root: the output folder.
        staged: name -> what was staged for it.
        mine: what this recording has published or begun to publish: a file like this is ours.
        ever: the names that it has published under: if the file is not ours it was edited.
        taken: names that another recording has.

    Returns:
        Where each file is to go, the JSON last, since it tells of the others; and the names of
        those that were edited.

    Raises:
        NameTaken: a file that never was ours has one of the names.
    """
    targets: list[Target] = []
    edited: list[bytes] = []
    for name in sorted(staged, key=lambda name: (name.endswith(b".json"), name)):
        for variant in chain([name], naming.newer(name)):
            if variant in taken:
                continue
            seen = published.look(root, variant, {*mine, staged[name]})
            if seen.identity is None or seen.print is not None:
                same = seen.print == staged[name]
                targets.append(Target(name, variant, seen.identity, same))
                break
            if variant in ever:
                edited.append(variant)
            elif variant == name:
                raise NameTaken(name)
    return targets, edited


def place(root: Path, job: int, targets: Sequence[Target]) -> None:
    """Give staged files their names, in this order, or take all new ones back; durable on return.

    Raises:
        NameTaken: somebody was first.
        OutputChanged: a file that was to be replaced is another one now.
        OSError: Nothing new is visible; of what is replaced each file is the old or the new one.
    """
    staged = [target.staged for target in targets]
    with _below(root) as find, _discarding_failures(root, job, staged), ExitStack() as undo:
        folders: set[int] = set()
        for target in targets:
            folder, leaf = find(target.name)
            temporary = _temporary(job, target.staged)
            if target.name.endswith(b".json"):  # it tells of the others: they come first, durably
                _sync(folders)
            if target.same:
                os.unlink(temporary, dir_fd=folder)
            elif target.there is None:
                _link(folder, temporary, leaf, target.name)
                undo.callback(os.unlink, leaf, dir_fd=folder)
            else:
                if Identity.of(os.stat(leaf, dir_fd=folder, follow_symlinks=False)) != target.there:
                    raise OutputChanged(f"{display(target.name)!r} is being edited")
                os.replace(temporary, leaf, src_dir_fd=folder, dst_dir_fd=folder)
            folders.add(folder)
        _sync(folders)
        undo.pop_all()


def discard(root: Path, job: int, names: Iterable[bytes]) -> None:
    """Remove what was staged for these names and not placed, as far as that can be done."""
    with suppress(OSError), _below(root, make=False) as find:
        for name in names:
            with suppress(OSError):
                folder, _ = find(name)
                os.unlink(_temporary(job, name), dir_fd=folder)


def require_mounted(
    root: Path, names: Iterable[bytes], known: Collection[bytes]
) -> dict[bytes, bool]:
    """See that what was mounted above these files is so still.

    Args:
        root: the output folder.
        names: of the files, relative to it.
        known: the mount points of before.

    Returns:
        All folders above them, and whether something is mounted there.

    Raises:
        Unmounted: one that was a mount point is an empty folder now.
    """
    folders = {os.path.dirname(os.path.join(os.fsencode(root), name)) for name in names}
    now = mounts.table()
    places = {place: place in now for folder in folders for place in mounts.above(folder)}
    if any(not places[place] and mounts.is_bare(place) for place in places.keys() & set(known)):
        raise Unmounted
    return places


def try_folder(root: Path, known: Collection[bytes]) -> None:
    """See that files can be written to an output folder: raises OSError, and leaves nothing.

    Args:
        root: the folder.
        known: see `require_mounted`.
    """
    require_mounted(root, [b"file"], known)
    with tempfile.TemporaryFile(dir=root) as file:
        file.write(bytes(TRIAL))
        file.flush()
        os.fsync(file.fileno())


def failure_code(error: OSError) -> str:
    """What an error of an output folder means for a job: a key of `failures.FAILURES`."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk_full" if full else "output_unwritable"


@contextmanager
def _below(
    root: Path, *, make: bool = True, made: Callable[[int], None] | None = None
) -> Iterator[Callable[[bytes], tuple[int, bytes]]]:
    """Gives what finds, for a relative name, the descriptor of its folder and its name there."""
    with ExitStack() as stack:
        folders = {b"": os.open(root, FOLDER)}
        stack.callback(os.close, folders[b""])

        def find(name: bytes) -> tuple[int, bytes]:
            *parents, leaf = parts(name)
            folder = b""
            for parent in parents:
                inner = folder + parent + b"/"
                if inner not in folders:
                    folders[inner] = enter(folders[folder], parent, make=make, made=made)
                    stack.callback(os.close, folders[inner])
                folder = inner
            return folders[folder], leaf

        yield find


def _temporary(job: int, name: bytes) -> bytes:
    return TEMPORARY % (job, name.rpartition(b".")[2])


@contextmanager
def _discarding_failures(root: Path, job: int, names: Iterable[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        discard(root, job, names)
        raise


def _sync(folders: Collection[int]) -> None:
    for folder in folders:
        os.fsync(folder)


def _link(folder: int, temporary: bytes, leaf: bytes, name: bytes) -> None:
    """Give the file its name unless somebody else was first."""
    try:
        name_new(folder, temporary, leaf)
    except FileExistsError as error:
        raise NameTaken(name) from error
