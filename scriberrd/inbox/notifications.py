"""Notifications from the kernel: hints to scan an inbox now. They may be missed or wrong."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

# Not FileModified, which comes with every write of a copy: the loop scans again by itself for files
# that have not settled. Not opening and closing without a write, which our own reading does.
EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
]


class _Handler(FileSystemEventHandler):
    """Sets the flag. An exception here would silently end watchdog's thread."""

    def __init__(self, changed: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        self._changed, self._loop = changed, loop

    def dispatch(self, event: FileSystemEvent) -> None:  # noqa: ARG002
        if self._changed.is_set():  # the loop clears it before it scans, and will see this too
            return
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:
            log.debug("ignored a notification after the end")


class Notifications:
    """Watches one folder, as long as `refresh` is called every now and then.

    All methods may block, and can be called from any thread; they run one at a time.
    """

    def __init__(
        self,
        root: Path,
        *,
        recursive: bool,
        changed: asyncio.Event,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._root, self._recursive = root, recursive
        self._handler = _Handler(changed, loop)
        self._observer: BaseObserver | None = None
        self._watched: tuple[int, int] | None = None
        self._busy = threading.RLock()

    def alive(self) -> bool:
        """Whether notifications are delivered, as far as this can be known."""
        observer = self._observer
        if observer is None:
            return False
        # The thread that reads from the kernel is not in the public interface.
        reader = getattr(observer, "_inotify_fd", observer)
        return all(thread.is_alive() for thread in (observer, reader, *observer.emitters))

    def refresh(self) -> None:
        """Watch the folder, and watch it anew after it was replaced, mounted or lost.

        Raises:
            OSError: it can't be watched, for example because inotify's limit is reached, or it is
                missing.
        """
        with self._busy:
            self._refresh()

    def _refresh(self) -> None:
        status = self._root.stat()
        if self._watched == (status.st_dev, status.st_ino) and self.alive():
            return
        self.close()
        observer = Observer()
        self._observer = observer
        try:
            root = str(self._root.resolve())  # or the link itself would be watched
            observer.schedule(self._handler, root, recursive=self._recursive, event_filter=EVENTS)
            observer.start()
            if self._recursive:
                # It does not report subfolders that it could not watch. One more watch shows
                # whether the limit was reached.
                probe = observer.schedule(self._handler, "/", event_filter=[DirDeletedEvent])
                observer.unschedule(probe)
        except OSError:
            self.close()
            raise
        self._watched = (status.st_dev, status.st_ino)

    def close(self) -> None:
        """Stop watching."""
        with self._busy:
            observer, self._observer, self._watched = self._observer, None, None
            if observer is not None:
                observer.stop()
                if observer.is_alive():
                    observer.join()
