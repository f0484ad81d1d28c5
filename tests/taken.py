"""An inbox on a real folder and a real queue, looked at and taken in as the daemon does."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from scriberrd.config import Config, Daemon, Inbox, Live, Retry
from scriberrd.files.folders import Folders
from scriberrd.inbox.arrivals import Arrivals
from scriberrd.inbox.intake import Intake
from scriberrd.inbox.scan import Found
from scriberrd.model import Identity
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.units import Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.model import Job


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


class Taken:
    """An inbox and its queue."""

    def __init__(self, root: Path, store: Store, **keys: Any) -> None:
        for name in ("in", "out", "state"):
            (root / name).mkdir(exist_ok=True)
        self.inbox = Inbox(name="main", path=root / "in", output=root / "out", **keys)
        config = Config(
            file=root / "scriberrd.toml",
            daemon=Daemon(state_dir=str(root / "state"), socket="", rescan=Span(60)),
            inboxes=(self.inbox,),
            profiles={"default": Settings(), "other": Settings(model="tiny")},
            workers=(),
            retry=Retry(),
        )
        self.live, self.store, self.clock = Live(config), store, Clock()
        folders = Folders()
        self.intake = Intake(self.live, store, self.clock, folders)
        self.arrivals = Arrivals(self.live, store, self.clock, folders, self.intake)

    @property
    def folder(self) -> Path:
        """Where recordings are dropped."""
        return self.inbox.path

    def found(self, *names: str) -> list[Found]:
        """These files as a scan finds them."""
        return [
            Found(name.encode(), Identity.of((self.folder / name).stat(follow_symlinks=False)))
            for name in names
        ]

    async def unknown(self, *names: str) -> list[str]:
        """Those of the files that are to be taken in."""
        news, _ = await self.arrivals.unknown(self.inbox, self.found(*names))
        return [one.path.decode() for one in news]

    async def take(self, name: str) -> tuple[Job, bool]:
        """Take in a file that has settled."""
        (found,) = self.found(name)
        last = await self.store.read(queries.events, 0, 10_000)
        (error,) = await self.arrivals.take(self.inbox, [found])
        if error is not None:
            raise error
        job = await self.store.read(jobs.newest, "main", found.path)
        assert job is not None
        events = (await self.store.read(queries.events, 0, 10_000))[len(last) :]
        return job, any(event.type in {"submitted", "superseded"} for event in events)

    async def jobs(self) -> list[Job]:
        """All of them, oldest first."""
        return list(reversed(await self.store.read(queries.find, limit=1000)))

    async def claim(self) -> jobs.Lease:
        """Begin to work on the next job."""
        job = await self.store.run(
            jobs.claim, "worker", now=self.clock.time(), expires=1e12, longest=3600
        )
        assert job is not None
        return jobs.Lease(job.id, job.lease)

    async def fail(self, code: str) -> Job:
        """Let the next job fail."""
        lease, now = await self.claim(), self.clock.time()
        return await self.store.run(jobs.fail, lease, code, "", retry=Retry(), now=now)


@contextlib.contextmanager
def taking(root: Path, **keys: Any) -> Iterator[Taken]:
    """An inbox below this folder; its queue is that of an earlier one, if there was one."""
    root.mkdir(exist_ok=True)
    with contextlib.closing(Store(root / "queue.db")) as store:
        yield Taken(root, store, **keys)
