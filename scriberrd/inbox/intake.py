"""Queue settled and uploaded files, unless they are already known."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import defaultdict
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from scriberrd.errors import (
    InvalidRequest,
    SourceChanged,
    UploadFailed,
    UploadTooLarge,
)
from scriberrd.files import leaving, sources
from scriberrd.files.folders import Heartbeat, start
from scriberrd.inbox import ordering, rules, upload
from scriberrd.inbox.upload import NAME_MAX, Upload
from scriberrd.model import JobState, Source, display
from scriberrd.output import departures, published
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scriberrd.config import Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.watch import Found
    from scriberrd.model import Clock, Identity, Job, RedoStage
    from scriberrd.queue.store import Store

log = logging.getLogger(__name__)

HASHING = 2  # files of an inbox that are read at once: more would only share the disk
NOTHING: Mapping[str, str] = MappingProxyType({})  # is set over the profile
FAREWELL = 1.0  # seconds to wait for the end of an upload, which continues by itself


class Intake:
    """Accepts recordings for the queue."""

    def __init__(self, live: Live, store: Store, clock: Clock, folders: Folders) -> None:
        self._live = live
        self._store = store
        self._clock = clock
        self._folders = folders
        self._reading = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(HASHING))

    async def sweep(self) -> None:
        """Remove unfinished uploads of an earlier daemon."""
        await asyncio.gather(*map(self._sweep, self._live.config.inboxes))

    async def _sweep(self, inbox: Inbox) -> None:
        with contextlib.suppress(OSError):  # the watch of the inbox reports the error
            if swept := await self._folders.run(inbox.path, upload.sweep, inbox.path):
                log.info("inbox %s: removed %d unfinished uploads", inbox.name, swept)

    async def unknown(self, inbox: Inbox, found: list[Found]) -> list[Found]:
        """The files of which no job knows this version."""
        news, renumbered, _ = await self._store.search(jobs.unknown, inbox.name, found)
        if renumbered:
            await self._store.run(jobs.renumber, inbox.name, renumbered)
        paths = set(news)
        return [one for one in found if one.path in paths]

    async def mended(self, inbox: Inbox, found: list[Found]) -> list[Found]:  # noqa: ARG002
        """Those of the mendable files that can be used now: they are news."""
        return []

    async def first(self, inbox: Inbox, found: list[Found]) -> None:
        """Take in all that was there when an inbox was watched for the first time."""

    async def skip(self, inbox: Inbox, found: Found) -> rules.Ruling | None:  # noqa: ARG002
        """Why a settled file is passed over; None: it is to be read and queued."""
        return None

    async def accept(
        self,
        inbox: Inbox,
        path: bytes,
        *,
        identity: Identity | None = None,
        profile: str | None = None,
        given: Mapping[str, str] = NOTHING,
    ) -> tuple[Job, bool]:
        """Queue the recording at this path; also returns whether there is something new to do.

        Args:
            inbox: the inbox.
            path: relative to the inbox.
            identity: the version that has settled. Without it a person asks for whatever is there
                now: a failed or canceled job is queued again, a queued one takes the profile and
                what is given, and a running one takes the priority.
            profile: instead of the inbox's.
            given: what is set over the profile, as `overrides.read` gives it.

        Raises:
            InvalidRequest: there is no such profile or file, or a value is not allowed.
            InboxUnavailable, NoAnswer: the inbox of a settled version is out.
            SourceChanged: the file is being written to.
        """
        order = ordering.order(self._live.config, profile or inbox.profile, given)
        try:
            fingerprint = await self._fingerprint(inbox, path, identity)
            source = Source(inbox.name, path, *fingerprint)
        except OSError as error:
            code = sources.failure_code(error)
            if identity is not None and code == "inbox_unavailable":
                raise
            if identity is None or code != "unreadable":
                raise InvalidRequest(f"{display(path)!r}: {error.strerror}") from error
            # The job will report the error: people look there.
            source = Source(inbox.name, path, identity, sha256=None)
        job, new = await self._store.run(
            jobs.submit,
            source,
            **order._asdict(),
            now=self._clock.time(),
            wanted=self._wanted(profile, given) if identity is None else None,
        )
        if new:
            log.info("job %d queued: %s/%s", job.id, inbox.name, display(path))
        await self.came_back(inbox, job)
        return job, new

    async def came_back(self, inbox: Inbox, job: Job) -> None:
        """See that a recording that had left its inbox, and lies there again, leaves it again."""
        if job.disposed is not None and job.state is JobState.COMPLETED:
            how = departures.again(inbox, job)
            await self._store.run(jobs.come_back, job.id, how, self._clock.time())

    async def left(self, inbox: Inbox, paths: list[bytes]) -> None:
        """Name recordings back that were leaving when the database that knew of it was lost."""
        tokens = {path: leaving.token_of(path) or "" for path in paths}
        known = await self._store.read(jobs.are_leaving, tokens.values())
        for path in (path for path, token in tokens.items() if token not in known):
            place = self._folders.place(inbox.path, path)
            try:
                name = await self._folders.run(place, leaving.put_back, inbox.path, path)
            except FileNotFoundError:  # it has just left, or come back
                continue
            text = display(name)
            log.warning("inbox %s: %r was leaving, nobody knows why: it stays", inbox.name, text)

    async def _fingerprint(
        self, inbox: Inbox, path: bytes, settled: Identity | None
    ) -> sources.Fingerprint:
        heartbeat = Heartbeat()
        read = partial(sources.fingerprint, inbox.path, path, settled=settled, beat=heartbeat.beat)
        async with self._reading[inbox.name]:
            return await self._folders.follow(inbox.path, heartbeat, read)

    async def receive(
        self,
        inbox: Inbox,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        profile: str | None = None,
        given: Mapping[str, str] = NOTHING,
    ) -> tuple[Job, bool]:
        """Store an upload as a file in the inbox, and queue it.

        The file gets its name only when all of it is on the disk; no file is overwritten.

        Raises:
            InvalidRequest: the name is invalid, or has no extension of a recording.
            UploadFailed: the inbox can't be written to.
            UploadTooLarge: more than `daemon.max_upload`.
        """
        ordering.order(self._live.config, profile or inbox.profile, given)
        leaf = os.fsencode(os.path.basename(name.replace("\0", "")))
        if not rules.wanted(leaf, inbox.extensions) or len(leaf) > NAME_MAX:
            allowed = ", ".join(inbox.extensions)
            raise InvalidRequest(f"name: {name!r} has no extension of a recording: {allowed}")
        received = Upload(inbox.path)
        try:
            await self._folders.run(inbox.path, received.begin)
            async for chunk in _limited(chunks, self._live.config.daemon.max_upload):
                await self._folders.run(inbox.path, received.write, chunk)
            known = await self._store.run(
                jobs.submit_again,
                inbox.name,
                received.sha256,
                profile=profile or inbox.profile,
                now=self._clock.time(),
                wanted=self._wanted(profile, given),
            )
            # A repeated upload, because its answer got lost. From here on, whoever removes the
            # known recording is responsible, as after any answer.
            if known is not None and await self._kept(inbox, known):
                return known, False
            path = await self._folders.run(inbox.path, received.name, leaf)
        except OSError as error:
            raise UploadFailed(f"inbox {inbox.name}: {error.strerror}") from error
        finally:
            await asyncio.wait({start(received.close)}, timeout=FAREWELL)
        job, new = await self.accept(inbox, path, profile=profile, given=given)
        await self._store.run(jobs.mark_uploaded, job.id, received.inode[1])
        if job.state is JobState.COMPLETED and not await self._kept(inbox, job):
            # Its bytes are those of a completed job whose recording and transcript are gone.
            name = profile or inbox.profile
            return await self.redo(job.id, profile=name, given=given), True
        return job, new

    async def _kept(self, inbox: Inbox, job: Job) -> bool:
        """Whether a live or completed job can do without another copy of its recording."""
        outputs = await self._store.read(queries.outputs, job.id)
        try:
            if job.state is JobState.COMPLETED:
                newest = next(one for one in outputs if one.suffix == "json" and not one.edited)
                look = partial(published.require, inbox.output, newest.name)
                await self._folders.run(inbox.output, look)
            else:
                version = partial(sources.open_version, inbox.path, job.path, job.identity)
                start(os.close, await self._folders.open(inbox.path, version))
        except (StopIteration, OSError, SourceChanged):
            return False
        return True

    async def retry(self, id_: int, *, given: Mapping[str, str] = NOTHING) -> Job:
        """Queue a failed or canceled job again, or let a waiting one try now.

        It takes the current settings of its profile, which may have been fixed meanwhile, and over
        them what was set before and what is given now.

        Raises:
            JobNotFound: there is no such job.
            IllegalMove: it is processing or completed, or a newer job has its recording.
            InvalidRequest: a value is not allowed.
        """
        order = ordering.retried(self._live.config, await self._recognized(id_), given)
        return await self._store.run(jobs.retry, id_, self._clock.time(), order=order)

    async def redo(
        self,
        id_: int,
        *,
        profile: str | None = None,
        given: Mapping[str, str] = NOTHING,
        stage: RedoStage | None = None,
    ) -> Job:
        """Do an ended job again, with its profile's current settings or another profile.

        Args:
            id_: of the job.
            profile: another one.
            given: what is set over the profile, beside what was set before.
            stage: from where on; None: transcribe it again.

        Raises:
            JobNotFound: there is no such job.
            IllegalMove: it has not ended, or a newer job has its recording.
            InvalidRequest: there is no such profile, or no longer; a value is not allowed, or is of
                no use for this stage.
        """
        job = await self._recognized(id_)
        order = ordering.redone(self._live.config, job, profile, given, stage)
        job = await self._store.run(
            jobs.redo, id_, **order._asdict(), now=self._clock.time(), stage=stage
        )
        log.info("job %d queued to be redone: %s/%s", id_, job.inbox, display(job.path))
        return job

    def _wanted(self, profile: str | None, given: Mapping[str, str]) -> Callable[[Job], jobs.Order]:
        return partial(ordering.asked, self._live.config, profile, given)

    async def _recognized(self, id_: int) -> Job:
        """The job; its recording is fingerprinted if it was unreadable before."""
        job = await self._store.read(queries.get, id_)
        inbox = self._live.config.inbox(job.inbox)
        if job.sha256 is None and inbox is not None:
            with contextlib.suppress(OSError, SourceChanged):  # its run will report it
                fingerprint = await self._fingerprint(inbox, job.path, None)
                source = Source(job.inbox, job.path, *fingerprint)
                await self._store.run(jobs.recognize, id_, source)
        return job


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    left = limit
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise UploadTooLarge(f"more than daemon.max_upload ({limit} bytes)")
        yield chunk
