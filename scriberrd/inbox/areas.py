"""The areas of an inbox: a file system each, watched, scanned and given up by itself.

So a share in a local folder that does not answer holds up nothing but itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.files import mounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.config import Inbox
    from scriberrd.files.mounts import Mount


class Area(NamedTuple):
    """What lies in one mount, the inbox's own or one below it."""

    prefix: bytes  # of all paths in it, relative to the inbox; b"": its own
    place: Path
    mount: Mount
    root: tuple[int, int] | None  # the inbox's folder; nobody asks a share below, which may hang
    without: frozenset[bytes]  # folders in it that others show, relative to the inbox
    twin: bytes | None = None  # the folder that shows the same: it is watched there, and not here

    @property
    def same(self) -> tuple[object, ...]:
        """What tells it from another one, whatever others show."""
        return self.prefix, self.mount, self.root


class _Shown(NamedTuple):
    """What an area shows."""

    prefix: bytes
    mount: Mount
    folder: bytes  # within the file system


def areas(inbox: Inbox) -> list[Area]:
    """The areas that there are now; the inbox's own comes first.

    What shows the same as another area has that for its twin: no recording is found twice.

    Raises:
        OSError: the inbox's folder is missing, or can't be asked.
    """
    status = os.stat(inbox.path)
    place = os.path.realpath(os.fsencode(inbox.path))
    table = mounts.table()
    own = mounts.of(place, table)
    shown = [_Shown(b"", own, _join(own.within, _below(place, own.point) or b""))]
    points: set[bytes] = set()
    twins: dict[bytes, tuple[Mount, bytes]] = {}
    for point in sorted(table) if inbox.recursive else []:
        prefix, mount = _below(point, place), table[point]
        if not prefix or is_hidden(prefix):
            continue
        points.add(prefix)
        one = _Shown(prefix, mount, mount.within)
        again = (
            path
            for path, other in _seen(one, shown)
            if not is_hidden(path) and mounts.of(_join(place, path), table) == other.mount
        )
        if (path := next(again, None)) is None:
            shown.append(one)
        else:
            twins[prefix] = mount, path
    own_root = status.st_dev, status.st_ino
    found = []
    for one in shown:
        inner = {path: other.prefix for other in shown for path, _ in _seen(other, [one])}
        without = frozenset(points | inner.keys()) - {one.prefix}
        root = None if one.prefix else own_root
        found.append(Area(one.prefix, _place(inbox, one.prefix), one.mount, root, without))
        for path in without - points:
            if not is_hidden(path) and mounts.of(_join(place, path), table) == one.mount:
                twins[path] = one.mount, inner[path]
    return found + [
        Area(prefix, _place(inbox, prefix), mount, None, frozenset(), twin)
        for prefix, (mount, twin) in sorted(twins.items())
    ]


def polls(area: Area, watch: str) -> str | None:
    """Why notifications are not enough for an area, for people; None: they are.

    Args:
        area: the area.
        watch: "auto", "inotify" or "poll", as the inbox has it.
    """
    if watch == "poll":
        return 'watch = "poll"'
    if watch == "auto" and area.mount.kind not in mounts.LOCAL:
        return f"{area.mount.kind} tells nothing of changes made elsewhere"
    return None


def is_hidden(path: bytes) -> bool:
    """Whether a folder on the way is hidden."""
    return any(name.startswith(b".") for name in path.split(b"/"))


def _seen(one: _Shown, areas: list[_Shown]) -> Iterator[tuple[bytes, _Shown]]:
    """Where areas show the same folder: its path, relative to the inbox."""
    for area in areas:
        path = _below(one.folder, area.folder)
        if path is not None and one.mount.device == area.mount.device:
            yield _join(area.prefix, path), area


def _below(place: bytes, folder: bytes) -> bytes | None:
    """The path of a place within a folder; b"" if it is the folder, None if it is outside."""
    if place == folder:
        return b""
    start = folder.rstrip(b"/") + b"/"
    return place[len(start) :] if place.startswith(start) else None


def _place(inbox: Inbox, prefix: bytes) -> Path:
    return inbox.path / os.fsdecode(prefix)


def _join(folder: bytes, path: bytes) -> bytes:
    return os.path.join(folder, path) if path else folder
