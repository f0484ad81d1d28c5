"""What the service manager hears: that the daemon is ready, what it is at, that it is well."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from scriberrd import __version__, systemd
from scriberrd.errors import ScriberrdError, StoreError
from scriberrd.logs import Event
from scriberrd.model import JobState
from scriberrd.queue import queries
from scriberrd.queue.store import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from scriberrd.config import Live
    from scriberrd.inbox.watch import Watching
    from scriberrd.model import Clock
    from scriberrd.queue.store import Store
    from scriberrd.work.dispatch import Dispatcher

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds that an inbox may keep the others waiting at the start
LOOK = 0.05  # seconds between two looks at what the start waits for
RARELY = 1.0  # seconds between two messages about what it is at
STUCK = 300.0  # seconds without a turn: far more than a share that does not answer takes


class Life:
    """Of a daemon."""

    def __init__(
        self,
        live: Live,
        store: Store,
        clock: Clock,
        dispatcher: Dispatcher,
        statuses: Mapping[str, Watching],
    ) -> None:
        self._live, self._store, self._clock = live, store, clock
        self._dispatcher, self._statuses = dispatcher, statuses
        self._refused = False  # the configuration, when it was last read again

    async def begin(self, socket: Path, lost: Callable[[], bool]) -> None:
        """Say that it is ready, once the inboxes are watched and the socket answers.

        Args:
            socket: at which the API listens.
            lost: whether nobody reaches it there, which is told elsewhere: work needs no client.
        """
        names = [one.name for one in self._live.config.inboxes]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not all(self._watched(name) for name in names):  # noqa: ASYNC110 - of threads
                    await asyncio.sleep(LOOK)
        with contextlib.suppress(OSError):  # it can't be told whether somebody reaches it
            while not (await _answers(socket) or lost()):  # noqa: ASYNC110
                await asyncio.sleep(LOOK)
        extra = {"event": Event.READY}
        told = ", ".join(names) or "none"
        log.info("scriberrd %s is ready, inboxes: %s", __version__, told, extra=extra)
        systemd.notify("READY=1")

    def _watched(self, name: str) -> bool:
        watching = self._statuses.get(name)
        return watching is not None and watching.state != "starting"

    async def tell(self) -> None:
        """Say what it is at, whenever that changes."""
        told = ""
        while systemd.listens():
            seen = self._store.bell.rings
            if (now := await self._at()) != told:
                told = now
                systemd.notify(f"STATUS={now}")
            await asyncio.sleep(RARELY)
            await self._store.bell.wait(seen)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """The configuration is read again in here."""
        try:
            yield
            self._refused = False
        except ScriberrdError:
            self._refused = True
            raise
        finally:
            self._store.bell.ring()

    def stopping(self) -> str:
        """What a stop waits for, and how long at most."""
        ids = [str(one.job.id) for one in self._dispatcher.slots if one.job is not None]
        if not ids:
            return "stopping: no job runs"
        longest, jobs = self._live.config.daemon.stop_timeout, "job" if len(ids) == 1 else "jobs"
        return f"stopping: up to {longest:g} s for {len(ids)} {jobs} ({', '.join(ids)})"

    async def _at(self) -> str:
        if self._dispatcher.stopping:
            return self.stopping()
        try:
            counts = await self._store.read(queries.counts)
        except StoreError:
            return "the database can't be read: see the journal"
        shown = JobState.PROCESSING, JobState.QUEUED, JobState.FAILED
        text = ", ".join(f"{counts[state]} {state}" for state in shown)
        return text + "; the new configuration was refused: see the journal" * self._refused

    async def well(self) -> bool:
        """Whether the database answers, and the inboxes are looked at.

        A full or read-only disk is no reason to restart.
        """
        try:
            await self._store.run(probe)
        except StoreError as error:
            log.warning("can't write to the database: %s", error)
        latest = self._clock.monotonic() - STUCK
        names = [one.name for one in self._live.config.inboxes]
        stuck = [one for one in names if self._statuses[one].turned < latest]
        for name in stuck:
            log.error("inbox %s is not looked at any more", name)
        return not stuck


async def _answers(socket: Path) -> bool:
    """Whether the API does."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    with contextlib.closing(writer):
        writer.write(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try:
            async with asyncio.timeout(PATIENCE):
                return (await reader.readline()).startswith(b"HTTP/1.1 ")
        except (OSError, TimeoutError):
            return False
