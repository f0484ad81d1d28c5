"""What is mounted where: what lies below a mount point is another file system's business."""

from __future__ import annotations

import asyncio
import os
import re
import select
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TABLE = "/proc/self/mountinfo"  # proc(5)
# The kernel itself tells of every change of these: nothing changes them behind its back.
LOCAL = frozenset(
    (
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "ramfs"),
        *("jfs", "nilfs2", "reiserfs", "vfat", "exfat", "ntfs3", "udf", "iso9660", "erofs"),
        *("squashfs", "hfsplus"),
    )
)


class Mount(NamedTuple):
    """A file system, or a part of one, at its place."""

    id: int  # another mount at the same place has another one
    parent: int  # the mount that it lies on
    point: bytes
    kind: str  # ext4, cifs, fuse.sshfs ...
    device: tuple[int, int]
    within: bytes  # the folder of its file system that is seen here


UNKNOWN = Mount(0, 0, b"/", "an unknown file system", (0, 0), b"/")  # as in a chroot


def table() -> dict[bytes, Mount]:
    """The mounts that can be seen, by their mount points.

    Not those that another one hides, by being mounted over them or over a folder above.
    """
    with open(TABLE, "rb") as file:
        mounts = {one.id: one for one in map(_mount, file)}
    seen: dict[bytes, Mount] = {}
    for one in sorted(mounts.values(), key=lambda one: len(one.point)):  # stable: the latest last
        below = mounts.get(one.parent)
        while below is not None and below.point == one.point:
            below = mounts.get(below.parent)
        if below is None or one.point == b"/" or of(os.path.dirname(one.point), seen) == below:
            seen[one.point] = one
    return seen


def of(place: bytes, mounts: Mapping[bytes, Mount]) -> Mount:
    """The mount that a place lies in.

    Args:
        place: an absolute path without links.
        mounts: what `table` gives.
    """
    while place not in mounts and place != b"/":
        place = os.path.dirname(place)
    return mounts.get(place, UNKNOWN)


class Mounting:
    """Tells when anything is mounted or unmounted. In a running event loop.

    Args:
        changed: is called then.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed, self._loop = changed, asyncio.get_running_loop()
        self._table = os.open(TABLE, os.O_RDONLY | os.O_CLOEXEC)
        self._told = select.epoll()
        self._told.register(self._table, select.EPOLLPRI)
        self._loop.add_reader(self._told.fileno(), self._tell)

    def close(self) -> None:
        """Stop."""
        self._loop.remove_reader(self._told.fileno())
        self._told.close()
        os.close(self._table)

    def _tell(self) -> None:
        self._told.poll(0)  # or it would tell of the same once more
        self._changed()


def above(folder: bytes) -> Iterator[bytes]:
    """The folder and its parents, except the root; links are resolved."""
    folder = os.path.realpath(folder)
    while folder != b"/":
        yield folder
        folder = os.path.dirname(folder)


def is_bare(place: bytes) -> bool:
    """Whether a former mount point is empty or gone; otherwise it is an ordinary folder now.

    Raises:
        OSError: it can't be read.
    """
    return not (os.path.isdir(place) and os.listdir(place))


def _mount(line: bytes) -> Mount:
    fields = line.split(b" ")
    kind = fields[fields.index(b"-", 6) + 1]
    major, minor = fields[2].split(b":")
    return Mount(
        id=int(fields[0]),
        parent=int(fields[1]),
        point=_plain(fields[4]),
        kind=kind.decode("ascii", "replace"),
        device=(int(major), int(minor)),
        within=_plain(fields[3]),
    )


def _plain(path: bytes) -> bytes:
    # Spaces, tabs, line breaks and backslashes are written as three octal digits.
    return re.sub(rb"\\([0-7]{3})", lambda digits: bytes([int(digits[1], 8)]), path)
