"""What the API is handed: the rooms that its handlers call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from scriberrd.model import InboxStatus, WorkerStatus
from scriberrd.work.breaker import Outage

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from scriberrd.config import Live
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.intake import Intake
    from scriberrd.inbox.watch import Watching
    from scriberrd.library.library import Library
    from scriberrd.model import Clock, Job
    from scriberrd.output.publisher import Publisher
    from scriberrd.queue.retention import Passed
    from scriberrd.queue.store import Store
    from scriberrd.work.preflight import Preflights
    from scriberrd.work.pulls import News


class LiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What only the running daemon knows."""

    workers: tuple[WorkerStatus, ...] = ()
    inboxes: tuple[InboxStatus, ...] = ()
    outages: tuple[Outage, ...] = ()


@dataclass
class Rooms:
    """The rooms below the API; the first ones in the order of `work.means.Means`."""

    live: Live
    store: Store
    clock: Clock
    folders: Folders
    publisher: Publisher
    library: Library
    preflights: Preflights
    intake: Intake
    stopping: Callable[[], bool]
    status: Callable[[], LiveStatus]
    try_now: Callable[[], None]  # what the machine could not do
    reload: Callable[[], asyncio.Future[list[str]]]  # the configuration
    purge: Callable[..., Awaitable[Passed]]  # what is too old
    pull: Callable[[str], Awaitable[News]]  # a model
    render: Callable[..., Awaitable[Job]]  # a transcript again
    name: Callable[[int, str, str], Awaitable[Job]]  # a speaker
    watching: Callable[[str], Watching]  # of an inbox, by its name
    count: Callable[[], Awaitable[None]] = field(init=False)  # before something is forgotten
    started: float = field(init=False)  # on the monotonic clock

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()
