"""Watch an inbox and hand over the files that have settled.

The scan is the truth; notifications only trigger it sooner. So nothing depends on them, and a
folder without notifications is simply scanned more often.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Literal

from scriberrd.errors import InboxUnavailable, NoAnswer, ScriberrdError, SourceChanged, StoreError
from scriberrd.files.folders import Heartbeat, start
from scriberrd.inbox.notifications import Notifications
from scriberrd.inbox.rules import Rules
from scriberrd.inbox.scan import Found, scan
from scriberrd.inbox.settle import Settling
from scriberrd.model import display

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.model import Clock, MountStatus

__all__ = ["Found", "Watching", "watch"]

log = logging.getLogger(__name__)

BATCH = 1000  # files that are looked up in the queue at once
BURST = 0.2  # seconds: notifications come in bursts
SHARE = 4  # the pause after a scan is this many times as long as the scan
POLL = 5.0  # seconds between two scans when notifications don't work or the folder is missing
SETTING = 5.0  # seconds that a scan waits until notifications are set up
FAREWELL = 1.0  # seconds to wait for the end of the notifications, which continues by itself


class Watching:
    """What there is to know of an inbox; `watch` keeps it up to date."""

    def __init__(self) -> None:
        self.state: Literal["starting", "watching", "polling", "unavailable"] = "starting"
        self.reason = ""  # why it is not watched
        self.mounts: tuple[MountStatus, ...] = ()
        self.settling: dict[bytes, float] = {}  # path -> seconds that are left, at the latest scan
        self.reading: dict[
            bytes, float
        ] = {}  # path -> since when it waits to be queued, or is read
        self.ignored: Counter[str] = Counter()  # RulingKind -> files and folders
        self.odd: set[bytes] = set()  # paths that only their names keep from being recordings
        self.unreadable: dict[bytes, str] = {}  # path -> why
        self.passes = 0  # full scans of all of it that have ended
        self.changed = asyncio.Event()  # something may have happened: it is scanned

    def rescan(self) -> None:
        """Have all of it scanned now, and all files looked up again."""
        self.changed.set()

    @property
    def idle(self) -> bool:
        """Whether all that the latest scan has found is queued."""
        return self.passes > 0 and not self.settling and not self.reading


async def watch(
    inbox: Inbox,
    *,
    unknown: Callable[[list[Found]], Awaitable[list[Found]]],
    accept: Callable[[Found], Awaitable[None]],
    rescan: float,
    clock: Clock,
    folders: Folders,
    status: Watching | None = None,
) -> None:
    """Watch an inbox until cancelled, and hand over each file that has settled.

    Args:
        inbox: its section of the configuration.
        unknown: returns those files of which the queue does not know this version.
        accept: queues one settled file, so that `unknown` no longer returns it. If it raises, the
            file is retried after `rescan` seconds, or when it changes.
        rescan: the longest time between two scans, in seconds.
        clock: the source of time.
        folders: runs the calls to the file system.
        status: is kept up to date.
    """
    status = status or Watching()
    await _Watch(inbox, unknown, accept, rescan, clock, folders, status).run()


class _FolderError(Exception):
    """The folder can't be read; what was found in it before is kept."""


class _Watch:
    """The state of a `watch`."""

    def __init__(
        self,
        inbox: Inbox,
        unknown: Callable[[list[Found]], Awaitable[list[Found]]],
        accept: Callable[[Found], Awaitable[None]],
        rescan: float,
        clock: Clock,
        folders: Folders,
        status: Watching,
    ) -> None:
        self._inbox, self._unknown, self._accept = inbox, unknown, accept
        self._rescan, self._clock, self._status = rescan, clock, status
        self._folders = folders
        self._settling = Settling(inbox.settle)
        self._rules = Rules(inbox)
        self._changed = status.changed
        loop = asyncio.get_running_loop()
        self._notifications = Notifications(
            inbox.path, recursive=inbox.recursive, changed=self._changed, loop=loop
        )
        self._trouble = ""  # the error of the queue at the latest scan
        self._unnotified = ""
        self._notify_again = 0.0  # when to try again to set up notifications
        self._setting: asyncio.Future[None] | None = None  # while they are being set up

    async def run(self) -> None:
        try:
            while True:
                self._changed.clear()
                began = self._clock.monotonic()
                try:
                    settled = await self._look()
                    took = self._clock.monotonic() - began
                    for file in settled:
                        await self._hand_over(file)
                        self._status.reading.pop(file.path, None)
                except _FolderError as error:
                    self._tell("unavailable", str(error))
                    self._notify_again = 0.0
                    await self._pause(POLL)
                except Exception as error:  # noqa: BLE001 - logged; nothing may end the watch
                    self._tell_trouble(error)
                    await self._pause(POLL)
                else:
                    self._trouble = ""
                    now = self._clock.monotonic()
                    interval = POLL if self._unnotified else self._rescan
                    waits = (began + interval - now, self._settling.next_due(now))
                    await self._pause(min(wait for wait in waits if wait is not None), took)
        finally:
            await asyncio.wait({start(self._notifications.close)}, timeout=FAREWELL)

    async def _look(self) -> list[Found]:
        """Scan the folder, and return the files that have settled, oldest first."""
        await self._refresh_notifications()
        unreadable: dict[bytes, str] = {}
        heartbeat = Heartbeat()
        files = scan(
            self._inbox.path,
            recursive=self._inbox.recursive,
            wanted=lambda name: self._rules.quick(os.fsdecode(name)),
            unreadable=lambda path, error: unreadable.update({path: _reason(error)}),
            beat=heartbeat.beat,
        )
        new = []
        while batch := await self._batch(files, heartbeat):
            new += await self._unknown(batch)
        self._tell("polling" if self._unnotified else "watching", self._unnotified)
        for path, reason in unreadable.items() - self._status.unreadable.items():
            log.warning("inbox %s: %r can't be read: %s", self._inbox.name, display(path), reason)
        self._status.unreadable = unreadable
        self._status.passes += 1
        now = self._clock.monotonic()
        settled = self._settling.update(new, now)
        self._status.settling = self._settling.waiting(now)
        self._status.reading = dict.fromkeys((file.path for file in settled), now)
        return sorted(settled, key=lambda file: (file.identity.mtime_ns, file.path))

    async def _batch(self, files: Iterator[Found], heartbeat: Heartbeat) -> list[Found]:
        """The next files; [] at the end."""
        some = islice(files, BATCH)
        try:
            return await self._folders.follow(self._inbox.path, heartbeat, list, some)
        except OSError as error:
            raise _FolderError(_reason(error)) from error

    async def _refresh_notifications(self) -> None:
        now = self._clock.monotonic()
        if self._setting is None:
            if self._unnotified and now < self._notify_again:
                return
            # Not through `folders`: a large tree takes long, and is scanned without notifications
            # meanwhile.
            self._setting = start(self._notifications.refresh)
        await asyncio.wait({self._setting}, timeout=SETTING)
        if not self._setting.done():
            self._unnotified = "no notifications yet"
            return
        setting, self._setting = self._setting, None
        try:
            setting.result()
            self._unnotified = ""
        except OSError as error:
            self._unnotified = f"no notifications: {_reason(error)}"
            self._notify_again = now + self._rescan

    async def _hand_over(self, file: Found) -> None:
        """Accept one file. Only an error that concerns all files stops the others."""
        try:
            await self._accept(file)
        except (InboxUnavailable, NoAnswer) as error:
            raise _FolderError(_reason(error)) from error
        except StoreError:
            raise
        except SourceChanged:  # a copy that had only paused; the next scan sees a new version
            log.debug("inbox %s: %r is changing", self._inbox.name, display(file.path))
            self._changed.set()
        except Exception as error:  # noqa: BLE001 - logged; one file must not stop the others
            self._warn(f"{display(file.path)!r} was not accepted: {error}", error)
            self._settling.postpone(file, self._clock.monotonic() + self._rescan)

    async def _pause(self, most: float, took: float = 0.0) -> None:
        """Wait until there is a reason to scan again, or for `most` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(min(most, self._rescan), 0.0)):
                await self._changed.wait()
        await asyncio.sleep(max(BURST, min(SHARE * took, self._rescan)))

    def _tell(self, state: Literal["watching", "polling", "unavailable"], reason: str) -> None:
        """Update the status, and log it when it changes."""
        status = self._status
        if (status.state, status.reason) == (state, reason):
            return
        status.state, status.reason = state, reason
        if state == "watching":
            log.info("inbox %s: watching %s", self._inbox.name, self._inbox.path)
        else:
            log.warning("inbox %s: %s: %s", self._inbox.name, state, reason)

    def _tell_trouble(self, error: Exception) -> None:
        """Log once an error of the queue, rather than of the folder or a file."""
        if self._trouble == str(error):
            return
        self._trouble = str(error)
        self._warn(f"{error}; trying again", error)

    def _warn(self, what: str, error: Exception) -> None:
        """Log an error; an unexpected one with its traceback."""
        unexpected = None if isinstance(error, ScriberrdError) else error
        log.warning("inbox %s: %s", self._inbox.name, what, exc_info=unexpected)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
