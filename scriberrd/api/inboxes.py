"""Inboxes: how they are watched, what lies in them, and what becomes of one file."""

from __future__ import annotations

import logging
import os
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

import msgspec

from scriberrd import logs
from scriberrd.api import views
from scriberrd.api.params import Params, choose
from scriberrd.api.submission import locate
from scriberrd.errors import PathOutsideInbox
from scriberrd.inbox.explain import OUTSIDE, Explanation, explain, folder_of
from scriberrd.inbox.rules import IGNORED_FILES, IGNORED_FOLDERS
from scriberrd.model import InboxStatus, JobState, display
from scriberrd.queue import about

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms
    from scriberrd.config import Inbox
    from scriberrd.inbox.watch import Watching
    from scriberrd.queue.about import Content

log = logging.getLogger(__name__)

MOST = 20  # paths of a kind that are told


class UnreadableView(msgspec.Struct, frozen=True, kw_only=True):
    """What the latest scan could not read."""

    path: str
    reason: str


class OldestView(msgspec.Struct, frozen=True, kw_only=True):
    """What has waited for longest."""

    path: str
    since: str
    what: Literal["reading", "queued"]


class InboxView(InboxStatus, frozen=True, kw_only=True):
    """An inbox, and what lies in it."""

    output: Literal["beside", "folder"]
    watch: str
    extensions: tuple[str, ...]
    jobs: dict[JobState, int]
    ignored: dict[str, int]
    passed: dict[Literal["existing", "outputs"], int]
    odd: list[str]
    unreadable: list[UnreadableView]
    reading: list[str]
    oldest: OldestView | None


class Inboxes(msgspec.Struct, frozen=True):
    """All inboxes, and the names that all of them ignore, as patterns in lower case."""

    inboxes: list[InboxView]
    ignored_files: tuple[str, ...] = IGNORED_FILES
    ignored_folders: tuple[str, ...] = IGNORED_FOLDERS


async def find(rooms: Rooms) -> Inboxes:
    """All inboxes, as they are now."""
    statuses = {one.name: one for one in rooms.status().inboxes}
    content = await rooms.store.search(about.contents, statuses)
    return Inboxes(
        [
            _view(rooms, one, statuses[one.name], content[one.name])
            for one in rooms.live.config.inboxes
            if one.name in statuses
        ]
    )


def _view(rooms: Rooms, inbox: Inbox, status: InboxStatus, content: Content) -> InboxView:
    watching = rooms.watching(inbox.name)
    return InboxView(
        **msgspec.structs.asdict(status),
        output="beside" if inbox.beside else "folder",
        watch=inbox.watch,
        extensions=inbox.extensions,
        jobs=content.jobs,
        ignored={str(kind): number for kind, number in watching.ignored.items()},
        passed=content.passed,
        odd=[display(path) for path in islice(sorted(watching.odd), MOST)],
        unreadable=[
            UnreadableView(path=display(path), reason=why)
            for path, why in islice(sorted(watching.unreadable.items()), MOST)
        ],
        reading=[display(path) for path in islice(watching.reading, MOST)],
        oldest=_oldest(rooms, watching, content),
    )


def _oldest(rooms: Rooms, watching: Watching, content: Content) -> OldestView | None:
    now, began = rooms.clock.time(), rooms.clock.monotonic()
    found: list[tuple[float, bytes, Literal["reading", "queued"]]] = [
        (now - began + since, path, "reading") for path, since in watching.reading.items()
    ]
    if content.oldest is not None:
        found.append((content.oldest.queued_at, content.oldest.path, "queued"))
    if not found:
        return None
    since, path, what = min(found)
    return OldestView(path=display(path), since=views.instant(since), what=what)


class Rescanned(Params, frozen=True, kw_only=True):
    """Which inbox is scanned: without one, all."""

    inbox: str | None = None


async def rescan(rooms: Rooms, given: Rescanned) -> Inboxes:
    """Have inboxes scanned now, and their files looked up again."""
    names = [one.name for one in rooms.live.config.inboxes]
    if given.inbox is not None:
        choose("inbox", given.inbox, names)
        names = [given.inbox]
    for name in names:
        rooms.watching(name).rescan()
        with logs.about(inbox=name):
            log.info("to be scanned")
    return await find(rooms)


class Asked(Params, frozen=True, kw_only=True):
    """Which file is explained."""

    path: bytes
    inbox: str | None = None


async def explained(rooms: Rooms, asked: Asked) -> Explanation:
    """What becomes of a file, and why."""
    config, named = rooms.live.config, None
    if asked.inbox is not None:
        choose("inbox", asked.inbox, [inbox.name for inbox in config.inboxes])
        named = config.inbox(asked.inbox)
    asked_path = os.fsdecode(asked.path)
    place = PurePosixPath(named.path if named else "", asked_path)
    for inbox in [named] if named else config.inboxes:
        if place == PurePosixPath(inbox.path):
            return folder_of(inbox)
    try:
        inbox, path = locate(config, asked_path, named)
    except PathOutsideInbox:
        return OUTSIDE
    watching = rooms.watching(inbox.name)
    return await explain(config, rooms.store, rooms.folders, watching, inbox, path)
