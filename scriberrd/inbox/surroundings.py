"""What all areas of an inbox share: the queue, and what they are scanned with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from scriberrd.inbox.scan import Found

if TYPE_CHECKING:
    import asyncio

    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.model import Clock


class Queue(Protocol):
    """What is known of the files that are found."""

    async def unknown(self, inbox: Inbox, found: list[Found]) -> tuple[list[Found], list[Found]]:
        """The files that are news; and those that may be so without having changed."""

    async def first(self, inbox: Inbox, found: list[Found]) -> None:
        """Take in what is there when an inbox begins to be watched."""

    async def left(self, inbox: Inbox, paths: list[bytes]) -> None:
        """See to recordings that were on their way out of the inbox."""


Take = Callable[[list[Found]], Awaitable[list[Exception | None]]]


class Surroundings(NamedTuple):
    """What all areas of an inbox share."""

    inbox: Inbox
    queue: Queue
    take: Take
    rescan: float  # the longest time between two scans, in seconds
    clock: Clock
    folders: Folders
    looking: asyncio.Event  # is set to have somebody look which areas there are
