"""Watch one area of an inbox: scan it when something may have changed, and at times anyway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from itertools import islice
from typing import TYPE_CHECKING, Literal

from scriberrd.errors import (
    InboxUnavailable,
    NoAnswer,
    OutputUnavailable,
    ScriberrdError,
    SourceChanged,
)
from scriberrd.files.folders import Heartbeat, start
from scriberrd.inbox.areas import polls
from scriberrd.inbox.lanes import Lanes
from scriberrd.inbox.notify import Hints
from scriberrd.inbox.rules import Rules
from scriberrd.inbox.scan import Found, Notes, Scan
from scriberrd.inbox.settle import Settling
from scriberrd.model import MountStatus, display

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.inbox.areas import Area
    from scriberrd.inbox.surroundings import Surroundings

log = logging.getLogger(__name__)

BATCH = 1000  # files that are looked up in the queue at once
BURST = 0.2  # seconds: notifications come in bursts
SHARE = 4  # the pause after a scan is this many times as long as the scan
POLL = 5.0  # seconds between two scans when notifications don't work or the folder is missing
POLLING = 20  # and at least so many times as long as the scan: 5 % of a core
FAREWELL = 1.0  # seconds to wait for the end of the notifications, which continues by itself
FORGET = 600.0  # seconds after which all files are looked up again

State = Literal["starting", "watching", "polling", "unavailable"]


class _AreaError(Exception):
    """The area can't be read; what was found in it before is kept."""


class AreaWatch:
    """The watch of one area."""

    def __init__(self, area: Area, around: Surroundings) -> None:
        self.area = area
        self._around = around
        self._inbox, self._queue, self._clock = around.inbox, around.queue, around.clock
        self.state: State = "starting"
        self.reason = ""  # why it is not watched
        self.is_file = False  # a file is mounted there: it lies in the folder above
        self.passes = 0  # scans that have ended
        self.settling = Settling(self._inbox.settle)
        self.lanes = Lanes(around.take, self._end, self._warn_of_trouble)
        self.notes = Notes({})  # of the latest scan
        self._rules = Rules(self._inbox)
        self._forget_at = 0.0
        self._changed = asyncio.Event()
        self._polls = polls(area, self._inbox.watch)
        self._hints = Hints(self._changed, wanted=self._polls is None)
        self._trouble = ""  # the error of the queue at the latest scan
        self._held_up = ""  # why nothing of it can be queued, for now
        self._refused: dict[bytes, str] = {}  # why single files could not be, as it was told

    @property
    def busy(self) -> bool:
        """Whether anything that it has found is not queued."""
        return bool(self.settling or self.lanes)

    def rescan(self, *, forget: bool = False) -> None:
        """Scan it now; with `forget` all files are looked up again."""
        if forget:
            self._forget_at = 0.0
        self._changed.set()

    def cover(self, area: Area) -> None:
        """Leave out of it what others show now."""
        if area != self.area:
            self.area = area
            self._changed.set()

    def settling_now(self) -> dict[bytes, float]:
        """The files that are still changing: path -> seconds until they may have settled."""
        return self.settling.waiting(self._clock.monotonic())

    async def run(self) -> None:
        """Watch it until cancelled, or it is none."""
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self.lanes.run())
                while not self.is_file:
                    await self._scan()
                reading.cancel()
        finally:
            await asyncio.wait({start(self._hints.close)}, timeout=FAREWELL)

    async def _scan(self) -> None:
        """Scan it, and wait until there is a reason for the next scan."""
        self._changed.clear()
        began = self._clock.monotonic()
        try:
            await self._look(began)
        except _AreaError as error:
            self._around.looking.set()
            self.is_file = bool(self.area.prefix) and isinstance(
                error.__cause__, NotADirectoryError
            )
            if not self.is_file:
                self._tell("unavailable", str(error))
                await self._pause(POLL)
        except Exception as error:  # noqa: BLE001 - logged; nothing may end the watch
            if self._trouble != str(error):
                self._trouble = str(error)
                self._warn_of_trouble(error)
            await self._pause(POLL)
        else:
            self._trouble = ""
            now = self._clock.monotonic()
            took = now - began
            every = max(POLL, POLLING * took) if self.state == "polling" else self._around.rescan
            waits = (began + every - now, self.settling.next_due(now))
            await self._pause(min(wait for wait in waits if wait is not None), took)

    async def found(self) -> list[Found]:
        """All recordings in it as they are now, whatever is known of them.

        Raises:
            OSError: it can't be read.
        """
        heartbeat = Heartbeat()
        scan = Scan(self.area, self._inbox, self._rules, Notes({}), lambda _: None, heartbeat.beat)
        return await self._around.folders.follow(self.area.place, heartbeat, list, scan.files())

    async def _look(self, now: float) -> None:
        """Scan it, and offer to the lanes what has settled."""
        known = self.notes.seen
        if now >= self._forget_at:
            known, self._forget_at = {}, now + FORGET
        notes, heartbeat = Notes(known), Heartbeat()
        self._hints.begin()
        enter = self._hints.enter
        scan = Scan(self.area, self._inbox, self._rules, notes, enter, heartbeat.beat)
        files, new, held = scan.files(), list[Found](), list[Found]()
        while batch := await self._batch(files, heartbeat):
            held += [one for one in batch if self.lanes.holds(one)]
            new += [one for one in batch if self.settling.holds(one)]
            # What waits is asked for once only, as long as it stays the same.
            new += await self._ask(
                notes,
                [
                    one
                    for one in batch
                    if not self.lanes.holds(one) and not self.settling.holds(one)
                ],
            )
        self._hints.end()
        self._note(notes)
        self.lanes.drop(self.lanes.held.keys() - {one.path for one in held})
        new += [one for one in held if self.settling.holds(one)]  # it was postponed meanwhile
        if self._refused:
            there = {one.path for one in (*new, *held)}
            self._refused = {path: why for path, why in self._refused.items() if path in there}
        now = self._clock.monotonic()
        self.lanes.offer(self.settling.update(new, now), now)
        if not self.busy:
            self._held_up = ""
        if notes.left:
            with contextlib.suppress(OSError):  # they are found again
                await self._queue.left(self._inbox, notes.left)

    async def _ask(self, notes: Notes, found: list[Found]) -> list[Found]:
        """What of this is news; the rest is noted."""
        if not found:
            return []
        news, again = await self._queue.unknown(self._inbox, found)
        notes.seen.update(dict.fromkeys((one.mark for one in found), None))
        for one in (*news, *again):
            notes.seen.pop(one.mark, None)
        return news

    async def _batch(self, files: Iterator[Found], heartbeat: Heartbeat) -> list[Found]:
        """The next files; [] at the end."""
        some = islice(files, BATCH)
        try:
            return await self._around.folders.follow(self.area.place, heartbeat, list, some)
        except OSError as error:
            raise _AreaError(reason(error)) from error

    def _note(self, notes: Notes) -> None:
        """Tell of a scan that has ended."""
        why = self._polls or self._hints.trouble
        self._tell("polling" if why else "watching", why)
        for path, what in notes.unreadable.items() - self.notes.unreadable.items():
            log.warning("%r can't be read: %s", display(path), what)
        for path in notes.odd - self.notes.odd:
            name = display(path)
            log.warning("%r is left alone: its name goes on after the extension", name)
        self.notes = notes
        self.passes += 1

    def _end(self, file: Found, error: Exception | None) -> None:
        """Take in what became of a file in the lanes."""
        match error:
            case None:
                self._held_up = ""
                self._refused.pop(file.path, None)
            case SourceChanged():  # a copy that had only paused; the next scan sees a new version
                log.debug("%r is changing", display(file.path))
                self._changed.set()
            case InboxUnavailable() | NoAnswer():
                self.tell_unavailable(error)
                self.lanes.drop(list(self.lanes.held))
                asyncio.get_running_loop().call_later(
                    min(POLL, self._around.rescan), self._changed.set
                )
            case OutputUnavailable():
                if self._held_up != (why := reason(error)):
                    self._held_up = why
                    log.warning("nothing is queued: %s", why)
                again = min(POLL, self._around.rescan)
                self.settling.postpone(file, self._clock.monotonic() + again)
            case _:
                if self._refused.get(file.path) != str(error):
                    self._refused[file.path] = str(error)
                    self._warn(f"{display(file.path)!r} was not accepted: {error}", error)
                self.settling.postpone(file, self._clock.monotonic() + self._around.rescan)

    async def _pause(self, most: float, took: float = 0.0) -> None:
        """Wait until there is a reason to scan again, or for `most` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(min(most, self._around.rescan), 0.0)):
                await self._changed.wait()
        await asyncio.sleep(max(BURST, min(SHARE * took, self._around.rescan)))

    def status(self) -> MountStatus:
        """How it is watched, for people."""
        return MountStatus(
            path=display(self.area.prefix),
            kind=self.area.mount.kind,
            state=self.state,
            reason=self.reason or self._held_up or None,
        )

    def tell_unavailable(self, error: OSError) -> None:
        """Note that it can't be used."""
        self._tell("unavailable", reason(error))

    def _tell(self, state: State, why: str) -> None:
        """Update the state, and log it when it changes."""
        if (self.state, self.reason) == (state, why):
            return
        self.state, self.reason = state, why
        if state == "watching":
            log.info("watching %s", self.area.place)
            return
        place = f"{display(self.area.prefix)}: " if self.area.prefix else ""
        level = logging.INFO if why == self._polls else logging.WARNING
        log.log(level, "%s%s: %s", place, state, why)

    def _warn_of_trouble(self, error: Exception) -> None:
        """Log an error of the queue, rather than of the folder or a file."""
        self._warn(f"{error}; trying again", error)

    def _warn(self, what: str, error: Exception) -> None:
        """Log an error; an unexpected one with its traceback."""
        unexpected = None if isinstance(error, ScriberrdError) else error
        log.warning("%s", what, exc_info=unexpected)


def reason(error: OSError) -> str:
    """Why a folder can't be used, for people."""
    return error.strerror or str(error)
