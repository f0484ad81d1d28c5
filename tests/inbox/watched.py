"""An inbox that is watched, and a queue that takes what is found."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import pytest
from support import eventually

from scriberrd.config import Config, Daemon, Inbox, Live, Retry
from scriberrd.errors import StoreError
from scriberrd.files.folders import Folders
from scriberrd.inbox.arrivals import Arrivals
from scriberrd.inbox.intake import Intake
from scriberrd.inbox.watch import Found, Watching
from scriberrd.inbox.watch import watch as watch_inbox
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.units import Seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from scriberrd.model import Clock

SLOW = 3600.0  # a rescan that does not come: only notifications and due times count


class Frozen:
    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    monotonic = time


class Queue:
    def __init__(self) -> None:
        self.watching = Watching()
        self.accepted: dict[bytes, Found] = {}
        self.batches: list[int] = []
        self.failing: dict[bytes, Exception] = {}
        self.tried: list[bytes] = []
        self.trouble: Exception | None = None
        self.leaving: list[bytes] = []

    async def unknown(self, _: Inbox, batch: list[Found]) -> tuple[list[Found], list[Found]]:
        self.batches.append(len(batch))
        if self.trouble:
            raise self.trouble
        return [file for file in batch if self.accepted.get(file.path) != file], []

    async def first(self, inbox: Inbox, found: list[Found]) -> None:
        pass

    async def left(self, _: Inbox, paths: list[bytes]) -> None:
        self.leaving += paths
        raise PermissionError

    async def take(self, batch: list[Found]) -> list[Exception | None]:
        self.tried += [file.path for file in batch]
        if self.trouble:
            raise self.trouble
        errors = [self.failing.get(file.path) for file in batch]
        for error in errors:
            if isinstance(error, StoreError):
                raise error
        self.accepted |= {
            file.path: file for file, error in zip(batch, errors, strict=True) if not error
        }
        return errors


@asynccontextmanager
async def watching(
    root: Path,
    *,
    settle: float = 0.0,
    rescan: float = SLOW,
    clock: Clock | None = None,
    recursive: bool = True,
    watch: Literal["auto", "inotify", "poll"] = "inotify",
) -> AsyncIterator[Queue]:
    inbox = Inbox(
        name="inbox",
        path=root,
        output=root,
        settle=Seconds(settle),
        recursive=recursive,
        watch=watch,
    )
    queue = Queue()
    task = asyncio.create_task(
        watch_inbox(
            inbox,
            queue=queue,
            take=queue.take,
            rescan=rescan,
            clock=clock or cast("Clock", time),
            folders=Folders(),
            watching=queue.watching,
        )
    )
    try:
        await eventually(lambda: queue.watching.passes or task.done())
        yield queue
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@asynccontextmanager
async def queueing(root: Path, state: Path, *, settle: float = 0.0) -> AsyncIterator[Store]:
    """An inbox whose recordings are queued, as by the daemon."""
    inbox = Inbox(name="inbox", path=root, output=state, settle=Seconds(settle), watch="inotify")
    config = Config(
        file=state / "toml",
        daemon=Daemon(state_dir=state, socket=state / "s"),
        inboxes=(inbox,),
        profiles={"default": Settings()},
        workers=(),
        retry=Retry(),
    )
    folders = Folders()
    with closing(Store(state / "queue.db")) as store:
        live, clock = Live(config), cast("Clock", time)
        intake = Intake(live, store, clock, folders)
        arrivals = Arrivals(live, store, clock, folders, intake)
        task = asyncio.create_task(
            watch_inbox(
                inbox,
                queue=arrivals,
                take=partial(arrivals.take, inbox),
                rescan=SLOW,
                clock=clock,
                folders=folders,
            )
        )
        try:
            yield store
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
