"""What the stages of a run work with, and how they get at its recording."""

from __future__ import annotations

import contextlib
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.errors import SourceChanged, StoreError, TaskFailed
from scriberrd.failures import FAILURES
from scriberrd.files import sources
from scriberrd.files.folders import Heartbeat, start
from scriberrd.model import Identity
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from scriberrd.config import Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.library.library import Library
    from scriberrd.model import Clock, Job
    from scriberrd.output.publisher import Publisher
    from scriberrd.queue.store import Store
    from scriberrd.work.preflight import Preflights

log = logging.getLogger(__name__)

# What a file that is still being written looks like.
HALF = {"invalid_media", "no_audio_stream", "empty_audio", "empty_file", "read_failed"}
FRESH = 30.0  # seconds since it was written last, in which it may be half of a file
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

    async def opened(self, job: Job, heartbeat: Heartbeat | None = None) -> int:
        """Open the recording that a job is about: the same bytes, whoever has touched them.

        Args:
            job: as it was claimed.
            heartbeat: of the run: it may have to be read.

        Raises:
            TaskFailed: it can't be read, or there are other bytes.
            LeaseLost: the job was taken back.
        """
        inbox = self.inbox(job)
        try:
            for identity in (job.identity, await self._latest(job)):
                with contextlib.suppress(SourceChanged):
                    return await self._open(inbox, job, identity)
            return await self._open(inbox, job, await self._read(inbox, job, heartbeat))
        except SourceChanged as error:
            raise TaskFailed(error.code) from error
        except OSError as error:
            code = sources.failure_code(error)
            told = error.strerror or type(error).__name__
            if code == "source_missing":  # nobody needs to have taken it: an inbox may be set anew
                told = f"it is not below the folder that inbox {inbox.name} has now"
            raise TaskFailed(code, told) from error

    async def _open(self, inbox: Inbox, job: Job, identity: Identity) -> int:
        place = self.folders.place(inbox.path, job.path)
        version = partial(sources.open_version, inbox.path, job.path, identity, links=inbox.links)
        return await self.folders.open(place, version)

    async def _latest(self, job: Job) -> Identity:
        """The version of these bytes that a scan, or this run, has seen last."""
        latest = await self.store.read(queries.get, job.id)
        return latest.identity if latest.sha256 == job.sha256 else job.identity

    async def _read(self, inbox: Inbox, job: Job, heartbeat: Heartbeat | None) -> Identity:
        """The version that is there now, which has the bytes of the job: SourceChanged if not."""
        heartbeat, place = heartbeat or Heartbeat(), self.folders.place(inbox.path, job.path)
        size, links, beat = job.identity.size, inbox.links, heartbeat.beat
        read = partial(sources.fingerprint, inbox.path, job.path, size=size, links=links)
        found = await self.folders.follow(place, heartbeat, read, beat=beat)
        if found.sha256 != job.sha256:
            raise SourceChanged(job.path)
        await self.store.insist(jobs.touched, jobs.Lease(job.id, job.lease), found.identity)
        log.info("the recording was touched, and is the same")
        return found.identity

    async def check_unchanged(self, job: Job, heartbeat: Heartbeat) -> None:
        """Drop the result of a recording that was replaced while it was worked on.

        The same bytes written over it may have been read half: what then was told to be damaged
        is done again. Written as another file they did no harm: the run had the old one open.

        Raises:
            TaskFailed: source_changed.
            LeaseLost: the job was taken back.
        """
        try:
            source = await self.opened(job, heartbeat)
        except TaskFailed as error:
            if error.failure == "source_changed":
                raise
            return  # Gone or unreadable now: it was read to its end; what came of it is kept.
        identity = Identity.of(os.fstat(source))
        start(os.close, source)
        if identity.version != job.identity.version and identity.inode == job.identity.inode:
            work = await self.store.read(jobs.work, job.id)
            if work.finished is None or work.finished.warnings:
                raise TaskFailed("source_changed")

    async def too_early(self, job: Job, failure: str) -> str | None:
        """Why a recording that could not be decoded may not have been complete yet: a failure.

        So it is if it is another version by now. One that was written a moment ago, by its own
        time, gets a second run.
        """
        inbox = self.live.config.inbox(job.inbox)
        if failure not in HALF or inbox is None:
            return None
        place = self.folders.place(inbox.path, job.path)
        try:
            look = partial(sources.open_source, inbox.path, job.path, links=inbox.links)
            source = await self.folders.open(place, look)
            now = Identity.of(os.fstat(source))
            start(os.close, source)
            known = await self._latest(job)
            runs = await self.store.read(queries.executions, job.id)
        except (OSError, StoreError):
            return None
        if now.version not in {job.identity.version, known.version}:
            return "source_changed"
        if FAILURES[failure].fault == "machine":  # it is tried again, and people learn why
            return None
        written = now.mtime_ns / 1e9
        had = any(run.error_code == "just_written" and run.started_at > written for run in runs)
        fresh = 0 <= self.clock.time() - written < max(inbox.settle, FRESH)
        return "just_written" if fresh and not had else None

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
        except StoreError:
            return None
        return None
