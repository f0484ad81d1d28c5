"""Folders in, settled files out.

The scan is the truth; notifications only make it come sooner. So nothing depends on any of them
arriving, and a folder on which they don't work is merely looked at more often.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal

from scriberrd.errors import ScriberrdError, StoreError
from scriberrd.files.folders import Heartbeat, NoAnswer, start
from scriberrd.files.sources import InboxUnavailable, SourceChanged
from scriberrd.inbox.hints import Hints
from scriberrd.inbox.rules import wanted
from scriberrd.inbox.scan import Found, scan
from scriberrd.inbox.settle import Settling
from scriberrd.model import display

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.model import Clock

__all__ = ["Found", "InboxStatus", "watch"]

log = logging.getLogger(__name__)

BATCH = 1000  # files that are looked up in the queue at once
BURST = 0.2  # seconds: notifications come in bursts
SHARE = 4  # times as long as a look took there is a pause, so that looking is never all we do
POLL = 5.0  # seconds between two looks where notifications don't work or the folder is not there
SETTING = 5.0  # seconds that a look waits for the notifications to be set
FAREWELL = 1.0  # seconds that the end of the notifications is waited for: it goes on by itself


class InboxStatus:
    """How it stands with an inbox; kept up to date by `watch`."""

    def __init__(self) -> None:
        self.state: Literal["starting", "watching", "polling", "unavailable"] = "starting"
        self.reason = ""  # why it is not being watched


async def watch(
    inbox: Inbox,
    *,
    unknown: Callable[[list[Found]], Awaitable[list[Found]]],
    accept: Callable[[Found], Awaitable[None]],
    rescan: float,
    clock: Clock,
    folders: Folders,
    status: InboxStatus | None = None,
) -> None:
    """Watch an inbox until cancelled, and hand over each file that has settled.

    Args:
        inbox: its section of the configuration.
        unknown: leaves of a list of files those that the queue does not know in this version.
        accept: takes one settled file; afterwards `unknown` should know it. When it raises, the
            file is tried again after `rescan` seconds, or when it changed.
        rescan: seconds between two looks at the latest.
        clock: where time comes from.
        folders: asks the file system.
        status: is kept up to date.
    """
    status = status or InboxStatus()
    await _Watch(inbox, unknown, accept, rescan, clock, folders, status).run()


class _FolderError(Exception):
    """The folder can't be read; nothing follows from that for what was found in it before."""


class _Watch:
    """What `watch` has in hand."""

    def __init__(
        self,
        inbox: Inbox,
        unknown: Callable[[list[Found]], Awaitable[list[Found]]],
        accept: Callable[[Found], Awaitable[None]],
        rescan: float,
        clock: Clock,
        folders: Folders,
        status: InboxStatus,
    ) -> None:
        self._inbox, self._unknown, self._accept = inbox, unknown, accept
        self._rescan, self._clock, self._status = rescan, clock, status
        self._folders = folders
        self._settling = Settling(inbox.settle)
        self._unreadable: dict[bytes, str] = {}  # what the latest look could not look at, and why
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._hints = Hints(inbox.path, recursive=inbox.recursive, changed=self._changed, loop=loop)
        self._trouble = ""  # what was wrong with the queue at the latest look
        self._hints_error = ""
        self._hints_due = 0.0  # when to try again to get notifications
        self._setting: asyncio.Future[None] | None = None  # while they are being set

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
                except _FolderError as error:
                    self._tell("unavailable", str(error))
                    self._hints_due = 0.0
                    await self._pause(POLL)
                except Exception as error:  # noqa: BLE001 - logged; nothing may end the watch
                    self._tell_trouble(error)
                    await self._pause(POLL)
                else:
                    self._trouble = ""
                    now = self._clock.monotonic()
                    interval = POLL if self._hints_error else self._rescan
                    waits = (began + interval - now, self._settling.next_due(now))
                    await self._pause(min(wait for wait in waits if wait is not None), took)
        finally:
            await asyncio.wait({start(self._hints.close)}, timeout=FAREWELL)

    async def _look(self) -> list[Found]:
        """Scan the folder; the files that have settled, the oldest first."""
        await self._refresh_hints()
        unreadable: dict[bytes, str] = {}
        heartbeat = Heartbeat()
        files = scan(
            self._inbox.path,
            recursive=self._inbox.recursive,
            wanted=partial(wanted, extensions=frozenset(self._inbox.extensions)),
            unreadable=lambda path, error: unreadable.update({path: _reason(error)}),
            beat=heartbeat.beat,
        )
        new = []
        while batch := await self._batch(files, heartbeat):
            new += await self._unknown(batch)
        self._tell("polling" if self._hints_error else "watching", self._hints_error)
        for path, reason in unreadable.items() - self._unreadable.items():
            log.warning("inbox %s: %r can't be read: %s", self._inbox.name, display(path), reason)
        self._unreadable = unreadable
        settled = self._settling.update(new, self._clock.monotonic())
        return sorted(settled, key=lambda file: (file.identity.mtime_ns, file.path))

    async def _batch(self, files: Iterator[Found], heartbeat: Heartbeat) -> list[Found]:
        """Read on; [] at the end."""
        some = islice(files, BATCH)
        try:
            return await self._folders.follow(self._inbox.path, heartbeat, list, some)
        except OSError as error:
            raise _FolderError(_reason(error)) from error

    async def _refresh_hints(self) -> None:
        now = self._clock.monotonic()
        if self._setting is None:
            if self._hints_error and now < self._hints_due:
                return
            # Not among the calls that a folder owes: a large tree takes its time, and is looked at
            # without notifications meanwhile.
            self._setting = start(self._hints.refresh)
        await asyncio.wait({self._setting}, timeout=SETTING)
        if not self._setting.done():
            self._hints_error = "no notifications yet"
            return
        setting, self._setting = self._setting, None
        try:
            setting.result()
            self._hints_error = ""
        except OSError as error:
            self._hints_error = f"no notifications: {_reason(error)}"
            self._hints_due = now + self._rescan

    async def _hand_over(self, file: Found) -> None:
        """Let one file be accepted. Only what concerns them all keeps the others back."""
        try:
            await self._accept(file)
        except (InboxUnavailable, NoAnswer) as error:
            raise _FolderError(_reason(error)) from error
        except StoreError:
            raise
        except SourceChanged:  # a copy that had only paused; the next look sees a new version
            log.debug("inbox %s: %r is changing", self._inbox.name, display(file.path))
            self._changed.set()
        except Exception as error:  # noqa: BLE001 - logged; one file keeps no other back
            self._warn(f"{display(file.path)!r} was not accepted: {error}", error)
            self._settling.postpone(file, self._clock.monotonic() + self._rescan)

    async def _pause(self, most: float, took: float = 0.0) -> None:
        """Wait until there is a reason to look again, or for that many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(min(most, self._rescan), 0.0)):
                await self._changed.wait()
        await asyncio.sleep(max(BURST, min(SHARE * took, self._rescan)))

    def _tell(self, state: Literal["watching", "polling", "unavailable"], reason: str) -> None:
        """Keep the status, and log it once when it changes."""
        status = self._status
        if (status.state, status.reason) == (state, reason):
            return
        status.state, status.reason = state, reason
        if state == "watching":
            log.info("inbox %s: watching %s", self._inbox.name, self._inbox.path)
        else:
            log.warning("inbox %s: %s: %s", self._inbox.name, state, reason)

    def _tell_trouble(self, error: Exception) -> None:
        """Log once what is wrong with the queue rather than with the folder or a file."""
        if self._trouble == str(error):
            return
        self._trouble = str(error)
        self._warn(f"{error}; trying again", error)

    def _warn(self, what: str, error: Exception) -> None:
        """Log what went wrong, with the traceback of an error that nobody has expected."""
        unexpected = None if isinstance(error, ScriberrdError) else error
        log.warning("inbox %s: %s", self._inbox.name, what, exc_info=unexpected)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
