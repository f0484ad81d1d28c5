"""What the kernel tells of folders: hints to scan now. They may be missed or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyFD, Mask

from scriberrd.output.formats import FORMATS

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent, WatchDescriptor

# Not IN_MODIFY, which comes with every write of a copy: the loop scans again by itself for files
# that have not settled. Nothing that our own reading does.
EVENTS = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)
OURS = CallbackId(0)  # the only one of each watch
# What we write ourselves beside recordings is no news.
STAGED = b".scriberrd-"
WRITTEN = tuple(b"." + name.encode() for name in FORMATS)


class Notifier:
    """Watches the folders that a scan enters, each before it is listed, so that nothing is missed.

    `watch` and `forget` are called by the thread of the scan, what the kernel tells comes in
    another one. An instance for each area, since a share may keep one waiting.

    Args:
        changed: is set at the first event after each `listen`.

    Raises:
        OSError: there can be no further instance.
    """

    def __init__(self, changed: asyncio.Event) -> None:
        self._changed, self._loop = changed, asyncio.get_running_loop()
        self._told = False
        self._lock = threading.Lock()
        self._watched: dict[tuple[int, int], WatchDescriptor] = {}  # by device and inode
        self._folders: dict[WatchDescriptor, tuple[int, int]] = {}
        try:
            self._kernel = InotifyFD()
        except OSError as error:
            raise _limit(error) from error
        self._kernel.start()

    def alive(self) -> bool:
        """Whether what the kernel tells is still read."""
        return self._kernel.is_alive()

    def listen(self) -> None:
        """Tell of what comes from now on."""
        self._told = False

    def watch(self, folder: int) -> tuple[int, int]:
        """Watch a folder; returns what `forget` knows it by.

        Args:
            folder: a descriptor.

        Raises:
            OSError: it can't be watched; ENOSPC: there are no more watches.
        """
        status = os.fstat(folder)
        key = (status.st_dev, status.st_ino)
        if key in self._watched:
            return key
        try:
            watch = self._kernel.add_callback(b"/proc/self/fd/%d" % folder, EVENTS, self, OURS)
        except OSError as error:
            raise _limit(error) from error
        if watch < 0:  # how it says that this is not permitted
            self._kernel.remove_callbacks([(watch, OURS)])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with self._lock:
            self._watched[key], self._folders[watch] = watch, key
        return key

    def forget(self, kept: set[tuple[int, int]]) -> None:
        """Watch no other folders than these."""
        with self._lock:
            gone = [watch for key, watch in self._watched.items() if key not in kept]
        self._kernel.remove_callbacks([(watch, OURS) for watch in gone])
        for watch in gone:
            self._drop(watch)

    def close(self) -> None:
        """Stop. May block."""
        self._kernel.stop()
        self._kernel.join()

    # What watchdog's thread calls. An exception would end it.

    def on_event(self, event: InotifyEvent) -> None:
        """Something has happened in a folder."""
        if self._told:
            return
        name = event.name
        if not event.is_directory and (name.startswith(STAGED) or name.endswith(WRITTEN)):
            return
        self._tell()

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """A folder is gone. Another one may have its numbers: the next scan watches that."""
        self._drop(wd)
        self._tell()

    def on_queue_overflow(self) -> None:
        """So much has happened that the kernel forgot some of it."""
        self._tell()

    def _drop(self, watch: WatchDescriptor) -> None:
        with self._lock:
            key = self._folders.pop(watch, None)
            if key is not None:
                del self._watched[key]

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._changed.set)


class Hints:
    """The notifier of an area, made anew whenever that is needed, and what it is not told.

    Args:
        changed: see `Notifier`.
        wanted: whether there is to be one at all.
    """

    def __init__(self, changed: asyncio.Event, *, wanted: bool) -> None:
        self._changed, self._wanted = changed, wanted
        self._notifier: Notifier | None = None
        self._entered: set[tuple[int, int]] = set()
        self.trouble = ""  # why it does not tell of all of the area

    def begin(self) -> None:
        """Before a scan: tell of what comes from now on."""
        self._entered, self.trouble = set(), ""
        if not self._wanted:
            return
        try:
            if self._notifier is None or not self._notifier.alive():
                self._notifier = Notifier(self._changed)
            self._notifier.listen()
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def enter(self, folder: int) -> None:
        """Watch a folder that the scan is about to list, by its descriptor."""
        if self._notifier is None:
            return
        try:
            self._entered.add(self._notifier.watch(folder))
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def end(self) -> None:
        """After a full scan: let go of folders that are not there any more."""
        if self._notifier is not None:
            self._notifier.forget(self._entered)

    def close(self) -> None:
        """Stop. May block."""
        if self._notifier is not None:
            self._notifier.close()


def _limit(error: OSError) -> OSError:
    """The same error; a limit by the name under which it can be raised."""
    limits = {errno.ENOSPC: "watches", errno.EMFILE: "instances"}
    if error.errno not in limits:
        return error
    key = f"fs.inotify.max_user_{limits[error.errno]}"
    number = Path("/proc/sys", key.replace(".", "/")).read_text().strip()
    return OSError(error.errno, f"out of inotify {limits[error.errno]} ({key} = {number})")
