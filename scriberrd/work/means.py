"""What the stages of a run work with, and how they get at its recording."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.errors import SourceChanged, TaskFailed
from scriberrd.failures import FAILURES
from scriberrd.files import sources
from scriberrd.files.folders import start

if TYPE_CHECKING:
    from scriberrd.config import Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.library.library import Library
    from scriberrd.model import Clock, Job
    from scriberrd.output.publisher import Publisher
    from scriberrd.queue.store import Store
    from scriberrd.work.preflight import Preflights

STOOD_STILL = {"worker_stalled", "time_limit"}  # or so it looked


class Means(NamedTuple):
    """What the stages work with."""

    live: Live
    store: Store
    clock: Clock
    folders: Folders
    publisher: Publisher
    library: Library
    preflights: Preflights

    def inbox(self, job: Job) -> Inbox:
        """Where a job belongs.

        Raises:
            TaskFailed: it is no longer configured.
        """
        inbox = self.live.config.inbox(job.inbox)
        if inbox is None:
            raise TaskFailed("inbox_unavailable", f"no inbox {job.inbox!r} is configured")
        return inbox

    async def opened(self, job: Job) -> int:
        """Open the version of the recording that a job is about.

        Raises:
            TaskFailed: it can't be read, or there is another one.
        """
        inbox = self.inbox(job)
        try:
            return await self.folders.open(
                inbox.path,
                partial(sources.open_version, links=inbox.links),
                inbox.path,
                job.path,
                job.identity,
            )
        except SourceChanged as error:
            raise TaskFailed(error.code) from error
        except OSError as error:
            code = sources.failure_code(error)
            raise TaskFailed(code, error.strerror or type(error).__name__) from error

    async def check_unchanged(self, job: Job) -> None:
        """Drop the result of a recording that was replaced while it was worked on.

        Raises:
            TaskFailed: source_changed.
        """
        try:
            start(os.close, await self.opened(job))
        except TaskFailed as error:
            if error.failure == "source_changed":
                raise
            # Gone or unreadable now: it was read to its end, and what came of it is worth keeping.

    async def unavailable(self, job: Job, failure: str) -> TaskFailed | None:
        """What keeps the recording of a run from being read, if that is the machine's fault.

        A worker that reads from a share whose server has gone stands still as one that hangs does:
        after any other failure there is no such question.
        """
        if failure not in STOOD_STILL:
            return None
        try:
            start(os.close, await self.opened(job))
        except TaskFailed as error:
            return error if FAILURES[error.failure].fault == "machine" else None
        return None
