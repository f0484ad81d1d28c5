"""Store an upload in an inbox: it gets its name only when all of it is on the disk."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from scriberrd.files.names import FOLDER, LONGEST, NEW, name_new

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

PREFIX = b".scriberrd-upload-"  # hidden, and in no list of extensions
OURS = PREFIX + os.urandom(8).hex().encode()  # the uploads of this process
PIECE = 4 << 20  # bytes between two syncs, so that none of them takes long on a slow disk


class Upload:
    """An upload in progress.

    All methods touch the inbox and may block, so they are called in threads. They run one at a
    time: `close` can be called while another call hangs.
    """

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        self._busy = Lock()
        self._temporary = b"%s-%s.part" % (OURS, os.urandom(8).hex().encode())
        self._folder = self._file = -1  # descriptors; -1: not open
        self._closed = self._named = False
        self.inode = (0, 0)  # device and number of the file, which its name does not change
        self.size = 0  # bytes written so far
        self._loose = 0  # bytes that may not be on the disk yet
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The hash of everything written so far, hexadecimal."""
        return self._digest.hexdigest()

    def begin(self) -> None:
        """Create an empty file."""
        with self._busy:
            if self._closed:
                return
            self._folder = os.open(self._inbox, FOLDER)
            self._file = os.open(self._temporary, NEW, 0o666, dir_fd=self._folder)
            self.inode = _inode(os.fstat(self._file))

    def write(self, chunk: bytes) -> None:
        """Append to the file."""
        with self._busy:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self._digest.update(chunk)
            self.size += len(chunk)
            self._loose += len(chunk)
            if self._loose >= PIECE:
                os.fdatasync(self._file)
                self._loose = 0

    def name(self, name: bytes) -> bytes:
        """Give the file its name, or the first free one like it; durable on return."""
        stem, dot, extension = name.rpartition(b".")
        with self._busy:
            os.fsync(self._file)
            for number in count(1):
                mark = b"" if number == 1 else b"-%d" % number
                path = stem[: LONGEST - len(mark + dot + extension)] + mark + dot + extension
                with contextlib.suppress(FileExistsError):
                    name_new(self._folder, self._temporary, path)
                    self._named = True
                    break
            os.fsync(self._folder)
            return path

    def withdraw(self, name: bytes) -> None:
        """Delete the file by the name that it was given, unless another has that name now."""
        with self._busy, contextlib.suppress(FileNotFoundError):
            if _inode(os.stat(name, dir_fd=self._folder, follow_symlinks=False)) == self.inode:
                os.unlink(name, dir_fd=self._folder)
                os.fsync(self._folder)

    def close(self) -> None:
        """Delete the file, unless it has its name."""
        with self._busy:
            self._closed = True
            if self._file >= 0 and not self._named:
                with contextlib.suppress(OSError):  # the next daemon sweeps it
                    os.unlink(self._temporary, dir_fd=self._folder)
            for descriptor in (self._file, self._folder):
                if descriptor >= 0:
                    with contextlib.suppress(OSError):  # a share may report lost bytes only now
                        os.close(descriptor)
            self._file = self._folder = -1


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def sweep(inbox: Path) -> int:
    """Remove unfinished uploads of an earlier daemon, and return their number.

    Their clients got no answer.
    """
    swept = 0
    with os.scandir(os.fsencode(inbox)) as entries:
        for entry in entries:
            if (
                entry.name.startswith(PREFIX)
                and not entry.name.startswith(OURS)
                and entry.is_file(follow_symlinks=False)
            ):
                os.unlink(entry.path)
                swept += 1
    return swept
