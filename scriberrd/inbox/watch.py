"""Watch an inbox: each of its areas by itself, as they come and go.

The scan is the truth; notifications only trigger it sooner. So nothing depends on them, and a
folder without notifications is simply scanned more often.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
from collections import Counter
from typing import TYPE_CHECKING

from scriberrd import logs
from scriberrd.errors import ScriberrdError
from scriberrd.inbox.area import AreaWatch, State, reason
from scriberrd.inbox.areas import Area, areas
from scriberrd.inbox.scan import Found
from scriberrd.inbox.surroundings import Surroundings
from scriberrd.model import MountStatus, display

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.rules import RulingKind
    from scriberrd.inbox.surroundings import Queue, Take
    from scriberrd.model import Clock

__all__ = ["Found", "Watching", "watch"]

log = logging.getLogger(__name__)

LOOK = 2.0  # seconds between two looks at which areas there are


class Watching:
    """What there is to know of an inbox; `watch` keeps it up to date."""

    def __init__(self) -> None:
        self.areas: list[AreaWatch] = []  # the inbox's own first
        self.twins: list[Area] = []  # show what these show
        self.trouble = ""  # why there are none
        self.looking = asyncio.Event()  # other areas may be there
        self.turned = math.inf  # when it was last looked which there are, monotonic; inf: not yet

    @property
    def state(self) -> State:
        """Whether all of it is seen, and how."""
        return self._worst[0]

    @property
    def reason(self) -> str:
        """Why it is not watched; without the inbox's own path."""
        return self._worst[1]

    @property
    def _worst(self) -> tuple[State, str]:
        if not self.areas:
            return ("unavailable", self.trouble) if self.trouble else ("starting", "")
        own = self.areas[0]
        if own.state in {"starting", "unavailable"}:
            return own.state, own.reason
        for one in self.areas:
            if one.state in {"polling", "unavailable"}:
                name = display(one.area.prefix)
                return "polling", f"{name}: {one.reason}" if name else one.reason
        return "watching", ""

    @property
    def mounts(self) -> tuple[MountStatus, ...]:
        """Its areas, and what is watched as a part of them."""
        return (*(one.status() for one in self.areas), *map(_duplicate, self.twins))

    def twin(self, path: bytes) -> bytes | None:
        """By which path a file is found that lies in what is watched elsewhere."""
        places = [(one.prefix, one.twin) for one in self.twins]
        places += [(one.area.prefix, None) for one in self.areas if one.area.prefix]
        inside = [(at, twin) for at, twin in places if path.startswith(at + b"/")]
        at, twin = max(inside, default=(b"", None), key=lambda one: len(one[0]))  # the innermost
        return None if twin is None else os.path.join(twin, path[len(at) + 1 :])

    @property
    def settling(self) -> dict[bytes, float]:
        """The files that are still changing: path -> seconds until they may have settled."""
        return {path: left for one in self.areas for path, left in one.settling_now().items()}

    @property
    def changing(self) -> int:
        """How many these are."""
        return sum(one.settling.changing for one in self.areas)

    @property
    def left(self) -> int:
        """How many files are still changing, or could not be queued and are tried again."""
        return sum(len(one.settling) for one in self.areas)

    @property
    def reading(self) -> dict[bytes, float]:
        """The files that wait to be queued or are read: path -> since when, monotonic."""
        return {path: since for one in self.areas for path, since in one.lanes.held.items()}

    @property
    def ignored(self) -> Counter[RulingKind]:
        """How many files and folders the rules left out at the latest scan."""
        ignored: Counter[RulingKind] = Counter()
        for one in self.areas:
            ignored += one.notes.ignored
        return ignored

    @property
    def odd(self) -> set[bytes]:
        """Files that only the end of their names keeps from being recordings."""
        return set[bytes]().union(*(one.notes.odd for one in self.areas))

    @property
    def unreadable(self) -> dict[bytes, str]:
        """What the latest scan could not read, and why."""
        return {path: why for one in self.areas for path, why in one.notes.unreadable.items()}

    @property
    def passes(self) -> int:
        """How many scans of all of it have ended."""
        return min((one.passes for one in self.areas), default=0)

    @property
    def idle(self) -> bool:
        """Whether all that the latest scan has found is queued."""
        return self.passes > 0 and not any(one.busy for one in self.areas)

    def rescan(self) -> None:
        """Have all of it scanned now, and all files looked up again."""
        self.looking.set()
        for one in self.areas:
            one.rescan(forget=True)


async def watch(
    inbox: Inbox,
    *,
    queue: Queue,
    take: Take,
    rescan: float,
    clock: Clock,
    folders: Folders,
    watching: Watching | None = None,
) -> None:
    """Watch an inbox until cancelled, and hand over each file that has settled.

    Args:
        inbox: its section of the configuration.
        queue: what is known of files.
        take: reads settled files of one area and queues them; gives the error of each, or None.
            One that it could not take is tried again after `rescan` seconds, or when it changes.
        rescan: the longest time between two scans, in seconds.
        clock: the source of time.
        folders: runs the calls to the file system.
        watching: is kept up to date.
    """
    watching = watching or Watching()
    around = Surroundings(inbox, queue, take, rescan, clock, folders, watching.looking)
    with logs.about(inbox=inbox.name):
        async with asyncio.TaskGroup() as group:
            await _Supervision(around, watching, group).run()


class _Supervision:
    """Lets each area that is there be watched, and no other."""

    def __init__(self, around: Surroundings, watching: Watching, group: asyncio.TaskGroup) -> None:
        self._around, self._watching, self._group = around, watching, group
        self._tasks: dict[AreaWatch, asyncio.Task[None]] = {}
        self._begun = False
        self._trouble = ""  # why it could not begin

    async def run(self) -> None:
        inbox, folders = self._around.inbox, self._around.folders
        while True:
            self._watching.looking.clear()
            try:
                now = await folders.run(inbox.path, areas, inbox)
                own = [area for area in now if area.twin is None]
                if not self._begun:
                    await self._begin(own)
                self._pass_over([area for area in now if area.twin is not None])
                self._keep(own)
            except OSError as error:
                self._miss(error)
            except Exception as error:  # noqa: BLE001 - logged; nothing may end the watch
                self._warn(error)
            self._watching.turned = self._around.clock.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK, self._around.rescan)):
                    await self._watching.looking.wait()

    async def _begin(self, now: list[Area]) -> None:
        """Take in what is there at first, before any of it is taken for new."""
        found: list[Found] = []
        for area in now if self._around.inbox.existing == "ignore" else []:
            try:
                found += await AreaWatch(area, self._around).found()
            except OSError:  # of one below its watch reports the error
                if not area.prefix:  # what is in it would be taken for new when it can be read
                    raise
        await self._around.queue.first(self._around.inbox, found)
        self._begun = True

    def _keep(self, now: Iterable[Area]) -> None:
        there = {area.prefix for area in (*now, *self._watching.twins)}
        before = {one.area.same: one for one in self._tasks}
        watches = []
        for area in now:
            one = before.pop(area.same, None) or AreaWatch(area, self._around)
            one.cover(area)
            watches.append(one)
        for one in before.values():
            self._tasks.pop(one).cancel()
            gone = one.area.prefix not in there
            if gone and one.area.prefix and not one.is_file:
                log.warning("%s: no longer mounted", display(one.area.prefix))
        for one in watches:
            if one not in self._tasks:
                self._tasks[one] = self._group.create_task(one.run())
        self._watching.areas = [one for one in watches if not one.is_file]
        places = [one.area[:2] for one in self._watching.areas]
        self._around.folders.divide(self._around.inbox.path, places)

    def _pass_over(self, twins: list[Area]) -> None:
        """Tell once of what is watched elsewhere."""
        told, self._watching.twins = set(map(_duplicate, self._watching.twins)), twins
        for one in map(_duplicate, twins):
            if one not in told:
                log.info("%s: %s", one.path, one.reason)

    def _warn(self, error: Exception) -> None:
        """Log once what keeps it from beginning; an unexpected error with its traceback."""
        if self._trouble != str(error):
            self._trouble = str(error)
            unexpected = None if isinstance(error, ScriberrdError) else error
            log.warning("%s; trying again", error, exc_info=unexpected)

    def _miss(self, error: OSError) -> None:
        """The inbox can't be asked which areas it has; those of before see for themselves."""
        if self._watching.areas:
            self._watching.areas[0].tell_unavailable(error)
        elif self._watching.trouble != reason(error):
            self._watching.trouble = reason(error)
            log.warning("unavailable: %s", self._watching.trouble)


def _duplicate(area: Area) -> MountStatus:
    reason = f"the same as {display(area.twin or b'') or 'the folder itself'}: watched there"
    return MountStatus(
        path=display(area.prefix), kind=area.mount.kind, state="duplicate", reason=reason
    )
