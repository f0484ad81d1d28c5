"""A file, or a part of it, as FFmpeg is to see it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from scriberrd.errors import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable

SCAN = 64 * 1024  # bytes at the end that are looked at first, for zeros
TAIL = 1 << 20  # bytes: so many zeros at the end hold nothing
ZEROS_KEPT = 4096  # bytes of them: the last packet may end with zeros
LARGEST_SCAN = 4 << 20  # bytes looked at in one go


class Patch(NamedTuple):
    """Bytes of a header that FFmpeg is to see instead of those in the file."""

    at: int  # from the start of the file
    data: bytes


class View:
    """The bytes `start` to `end` of a file, patched, for PyAV to read.

    FFmpeg takes some failed reads for the end of the file, and PyAV swallows what is raised to stop
    a task: both are kept, and `check` raises them. `tick` is called for each read.
    """

    def __init__(
        self,
        file: BinaryIO,
        tick: Callable[[], None],
        start: int,
        end: int,
        patches: tuple[Patch, ...] = (),
    ) -> None:
        self._file, self._tick = file, tick
        self._start, self._end, self._patches = start, end, patches
        self._at = start
        self._raised: BaseException | None = None

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        try:
            self._tick()
            data = self._next(min(size, self._end - self._at))
        except OSError as error:
            self._raised = error
            raise
        except BaseException as error:  # noqa: BLE001 - `check` raises it
            self._raised = error
            return b""
        for patch in self._patches:
            data = _patched(data, patch.at - self._at, patch.data)
        self._at += len(data)
        return data

    def _next(self, size: int) -> bytes:
        if size <= 0:
            return b""
        try:
            if self._file.tell() != self._at:  # others look at the file too
                self._file.seek(self._at)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return b""  # damaged data has sent FFmpeg to a position that can't exist
            raise
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place for the next read."""
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        if base + offset < self._start:
            return -errno.EINVAL  # as above
        self._at = base + offset
        return self._at - self._start

    def tell(self) -> int:
        """The place of the next read, from the start of the view."""
        return self._at - self._start

    def check(self) -> None:
        """Raise what a read has met: TaskFailed read_failed, or what stops the task."""
        if isinstance(self._raised, OSError):
            raise read_failed(self._raised) from self._raised
        if self._raised is not None:
            raise self._raised


class Bytes:
    """Random access to a file, for those who look at its headers.

    `size` counts its bytes, `content` those before the zeros that fill it up, and `end` those that
    FFmpeg is to see: it would search gigabytes of zeros for packets.
    """

    def __init__(self, file: BinaryIO, tick: Callable[[], None]) -> None:
        self._file, self._tick = file, tick
        self.size = file.seek(0, os.SEEK_END)
        self.content = self._content()
        tail = self.size - self.content
        self.end = self.size if tail < TAIL else self.content + ZEROS_KEPT

    def at(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`; fewer at the end."""
        self._tick()
        if not 0 <= offset < self.size:  # a header may state anything
            return b""
        self._file.seek(offset)
        data = self._file.read(count)
        while len(data) < count and (more := self._file.read(count - len(data))):
            data += more
        return data

    def _content(self) -> int:
        end, scan = self.size, SCAN
        while end:
            start = max(0, end - scan)
            data = self.at(start, end - start)
            if np.frombuffer(data, np.uint8).any():  # far faster than `rstrip`
                return start + len(data.rstrip(b"\0"))
            end, scan = start, min(2 * scan, LARGEST_SCAN)
        return 0


def read_failed(error: OSError) -> TaskFailed:
    """The failure that a failed read is."""
    return TaskFailed("read_failed", os.strerror(error.errno) if error.errno else "")


def _patched(data: bytes, at: int, patch: bytes) -> bytes:
    if at >= len(data) or at + len(patch) <= 0:
        return data
    first, last = max(0, at), min(len(data), at + len(patch))
    return data[:first] + patch[first - at : last - at] + data[last:]
