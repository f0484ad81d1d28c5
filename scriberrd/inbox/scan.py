"""List the files of an area. The scan is the truth; notifications are only hints."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.errors import InboxUnavailable
from scriberrd.files.leaving import PRIVATE
from scriberrd.files.names import FOLDER
from scriberrd.inbox.rules import Ruling
from scriberrd.model import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scriberrd.config import Inbox
    from scriberrd.inbox.areas import Area
    from scriberrd.inbox.rules import Rules, RulingKind

LEAVING = PRIVATE.decode()
OFTEN = 1000  # entries of a folder between two beats


class Found(NamedTuple):
    """A file in an inbox."""

    path: bytes  # relative to the inbox
    identity: Identity

    @property
    def mark(self) -> int:
        """What is remembered of a file that is no news: 64 bits for all of it."""
        start = self.path[: self.path.rfind(b"/") + 1]
        return hash((start, os.fsdecode(self.path[len(start) :]), *self.identity))


@dataclass
class Notes:
    """What a scan has come upon beside news."""

    known: Mapping[int, RulingKind | None]  # marks of what is no news; by which rule, or queued
    seen: dict[int, RulingKind | None] = field(default_factory=dict)  # of that: what is still there
    ignored: Counter[RulingKind] = field(default_factory=Counter)
    odd: set[bytes] = field(default_factory=set)  # only their names keep them from being recordings
    unreadable: dict[bytes, str] = field(default_factory=dict)  # path -> why
    left: list[bytes] = field(default_factory=list)  # recordings that were leaving

    def ignore(self, path: bytes, kind: RulingKind) -> None:
        """Note that a rule leaves out a file or folder."""
        self.ignored[kind] += 1
        if kind == "odd_name":
            self.odd.add(path)


@dataclass(frozen=True)
class Scan:
    """Lists the regular files of an area that are news, in no order.

    Only directories are opened, so that nothing blocks. Links are not followed, hidden folders
    not entered, nor those of other areas.
    """

    area: Area
    inbox: Inbox
    rules: Rules
    notes: Notes  # are written on
    enter: Callable[[int], object]  # is called with a descriptor of each folder, before it is read
    beat: Callable[[], None]  # is called as the scan progresses, and may raise to stop it

    def files(self) -> Iterator[Found]:
        """List them.

        Raises:
            InboxUnavailable: another folder is at the area's place now.
            OSError: the area can't be read.
        """
        if self._is_left_out():
            return
        waiting = [self.area.prefix]  # folders to enter
        while waiting:
            path = waiting.pop()
            try:
                yield from self._folder(path, waiting)
            except OSError as error:
                if path == self.area.prefix:
                    raise
                self.notes.unreadable[path] = error.strerror or str(error)

    def _is_left_out(self) -> bool:
        """Whether the rules leave out a mount, by what the folders above it say."""
        *above, _ = _ways(self.area.prefix)
        for path, below in zip(above, _ways(self.area.prefix)[1:], strict=True):
            folder = os.open(self.inbox.path / os.fsdecode(path), FOLDER)
            try:
                ruling = self.rules.enter(path, folder) or self.rules.folder(below)
            finally:
                os.close(folder)
            if ruling:
                self.notes.ignore(below, ruling.kind)
                return True
        return False

    def _folder(self, path: bytes, waiting: list[bytes]) -> Iterator[Found]:
        self.beat()
        flags = FOLDER | os.O_NOFOLLOW if path else FOLDER
        folder = os.open(self.inbox.path / os.fsdecode(path), flags)
        try:
            status = os.fstat(folder)
            if not path and (status.st_dev, status.st_ino) != self.area.root:
                raise InboxUnavailable(errno.ESTALE, "another folder is at its place now")
            self.enter(folder)
            if ruling := self.rules.enter(path, folder):
                self.notes.ignore(path, ruling.kind)
                return
            with os.scandir(folder) as entries:
                yield from self._entries(entries, path + b"/" if path else b"", waiting)
        finally:
            os.close(folder)

    def _entries(
        self, entries: Iterator[os.DirEntry[str]], start: bytes, waiting: list[bytes]
    ) -> Iterator[Found]:
        known, seen, quick = self.notes.known, self.notes.seen, self.rules.quick
        for number, entry in enumerate(entries, 1):
            if number % OFTEN == 0:
                self.beat()
            name = entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    self._enter_later(start, name, waiting)
                    continue
                if not quick(name):
                    self._pass_over(start, name)
                    continue
                status = self._status(entry, start)
            except FileNotFoundError:  # just gone
                continue
            except OSError as error:
                self.notes.unreadable[start + os.fsencode(name)] = error.strerror or str(error)
                continue
            mark = _mark(start, name, status)
            if mark in known:  # nearly always: so nothing is made of it
                kind = seen[mark] = known[mark]
                if kind is not None:
                    self.notes.ignore(start + os.fsencode(name), kind)
                continue
            path = start + os.fsencode(name)
            if ruling := _kind(status.st_mode) or self.rules.file(path):
                seen[mark] = ruling.kind
                self.notes.ignore(path, ruling.kind)
            else:
                yield Found(path, Identity.of(status))

    def _status(self, entry: os.DirEntry[str], start: bytes) -> os.stat_result:
        """What a file is; of a link that may be followed, what it leads to."""
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode) or not self.inbox.links:
            return status
        path = os.path.join(os.fsencode(self.inbox.path), start, os.fsencode(entry.name))
        real = os.path.realpath(path)
        allowed = (os.path.realpath(os.fsencode(place)) for place in self.inbox.links)
        if not any(real.startswith(place + b"/") for place in allowed):
            return status
        with contextlib.suppress(OSError):
            return os.stat(real)
        return status

    def _pass_over(self, start: bytes, name: str) -> None:
        if name.startswith(LEAVING):
            self.notes.left.append(start + os.fsencode(name))

    def _enter_later(self, start: bytes, name: str, waiting: list[bytes]) -> None:
        path = start + os.fsencode(name)
        if not self.inbox.recursive or name.startswith(".") or path in self.area.without:
            return
        if ruling := self.rules.folder(path):
            self.notes.ignore(path, ruling.kind)
        else:
            waiting.append(path)


def _mark(start: bytes, name: str, status: os.stat_result) -> int:
    """The `Found.mark` of a file."""
    numbers = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return hash((start, name, *numbers))


def _kind(mode: int) -> Ruling | None:
    """Why what is not a regular file is no recording."""
    if stat.S_ISREG(mode):
        return None
    return Ruling("link", "a link") if stat.S_ISLNK(mode) else Ruling("special", "no regular file")


def _ways(path: bytes) -> list[bytes]:
    """All folders on the way from the inbox to a path, with both."""
    ways = [b""]
    for name in path.split(b"/") if path else []:
        ways.append(ways[-1] + b"/" + name if ways[-1] else name)
    return ways
