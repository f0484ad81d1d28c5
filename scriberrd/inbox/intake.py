"""Queue what people order: files that they name, that they upload, and jobs again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections import defaultdict
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from scriberrd import logs
from scriberrd.errors import (
    InvalidRequest,
    SourceChanged,
    UploadFailed,
    UploadTooLarge,
)
from scriberrd.files import sources
from scriberrd.files.folders import Heartbeat, start
from scriberrd.inbox import mending, ordering, reading, rules, sidecars, upload
from scriberrd.inbox.upload import Upload
from scriberrd.logs import Event
from scriberrd.model import JobState, display
from scriberrd.output import departures, published
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scriberrd.config import Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.model import Clock, Job, RedoStage, Sidecar, Source
    from scriberrd.queue.store import Store

log = logging.getLogger(__name__)

HASHING = 2  # files of an inbox that are read at once: more would only share the disk
NOTHING: Mapping[str, str] = MappingProxyType({})  # is set over the profile
FAREWELL = 1.0  # seconds to wait for the end of an upload, which continues by itself


class Intake:
    """Accepts orders for the queue."""

    def __init__(self, live: Live, store: Store, clock: Clock, folders: Folders) -> None:
        self._live = live
        self._store = store
        self._clock = clock
        self._folders = folders
        self.receiving = set[tuple[int, int]]()  # device and inode of each upload
        self._reading = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(HASHING))

    async def sweep(self) -> None:
        """Remove unfinished uploads of an earlier daemon."""
        await asyncio.gather(*map(self._sweep, self._live.config.inboxes))

    async def _sweep(self, inbox: Inbox) -> None:
        with contextlib.suppress(OSError):  # the watch of the inbox reports the error
            if swept := await self._folders.run(inbox.path, upload.sweep, inbox.path):
                with logs.about(inbox=inbox.name):
                    log.info("removed %d unfinished uploads", swept)

    async def accept(
        self,
        inbox: Inbox,
        path: bytes,
        *,
        profile: str | None = None,
        given: Mapping[str, str] = NOTHING,
    ) -> tuple[Job, bool]:
        """Queue whatever is at this path; also returns whether there is something new to do.

        A failed or canceled job is queued again, a queued one takes the profile and what is given,
        and a running one takes the priority.

        Args:
            inbox: the inbox.
            path: relative to the inbox.
            profile: instead of the inbox's.
            given: what is set over the profile, as `overrides.read` gives it.

        Raises:
            InvalidRequest: there is no such profile or file, or a value is not allowed.
            SourceChanged: the file is being written to.
        """
        ordering.order(self._live.config, profile or inbox.profile, given)  # before it is read
        try:
            source = await self._source(inbox, path)
            sidecar = await self._sidecar(inbox, path)
        except OSError as error:
            raise InvalidRequest(f"{display(path)!r}: {error.strerror}") from error
        config, moved = self._live.config, [(source, sidecar)]
        await mending.move_along(config, self._store, self._folders, self._clock, inbox, moved)
        name = profile or sidecar.profile or inbox.profile
        order = ordering.order(self._live.config, name, given, sidecar)
        job, new = await self._store.run(
            jobs.submit,
            source,
            **order._asdict(),
            now=self._clock.time(),
            wanted=self._wanted(profile, given, sidecar),
        )
        if new:
            with logs.about(**job.subject):
                log.info("queued", extra={"event": Event.JOB_QUEUED})
        await self.came_back(inbox, job)
        return job, new

    async def came_back(self, inbox: Inbox, job: Job) -> None:
        """See that a recording that had left its inbox, and lies there again, leaves it again."""
        if job.disposed is not None and job.state is JobState.COMPLETED:
            how = departures.after(inbox, job)
            await self._store.run(jobs.come_back, job, how, self._clock.time())

    async def _source(self, inbox: Inbox, path: bytes) -> Source:
        heartbeat = Heartbeat()
        read = partial(reading.source, inbox, path, heartbeat)
        async with self._reading[inbox.name]:
            place = self._folders.place(inbox.path, path)
            return await self._folders.follow(place, heartbeat, read)

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
            InvalidRequest: the name is none of a recording, or there are no bytes.
            UploadFailed: the inbox can't be written to.
            UploadTooLarge: more than `daemon.max_upload`.
        """
        ordering.order(self._live.config, profile or inbox.profile, given)
        leaf = os.fsencode(os.path.basename(name.replace("\0", "")))
        if wrong := rules.misnamed(leaf, inbox.extensions):
            raise InvalidRequest(f"name: {name!r} {wrong}")
        received = Upload(inbox.path)
        try:
            await self._folders.run(inbox.path, received.begin)
            self.receiving.add(received.inode)
            async for chunk in _limited(chunks, self._live.config.daemon.max_upload):
                await self._folders.run(inbox.path, received.write, chunk)
            if not received.size:
                raise InvalidRequest(f"{name!r}: nothing has come, the recording would be empty")
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
            try:
                return await self._received(inbox, received, path, profile, given)
            except Exception:  # it is refused: then nothing of it may be done later
                await self._folders.run(inbox.path, received.withdraw, path)
                raise
        except OSError as error:
            raise UploadFailed(_unstored(inbox, error)) from error
        finally:
            self.receiving.discard(received.inode)
            await asyncio.wait({start(received.close)}, timeout=FAREWELL)

    async def _received(
        self,
        inbox: Inbox,
        received: Upload,
        path: bytes,
        profile: str | None,
        given: Mapping[str, str],
    ) -> tuple[Job, bool]:
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
                version = partial(
                    sources.open_version, inbox.path, job.path, job.identity, links=inbox.links
                )
                place = self._folders.place(inbox.path, job.path)
                start(os.close, await self._folders.open(place, version))
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
        job, sidecar = await self._recognized(id_)
        order = ordering.retried(self._live.config, job, given, sidecar)
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
            IllegalMove: it has not ended, a newer job has its recording, or that has left.
            InvalidRequest: there is no such profile, or no longer; a value is not allowed, or is of
                no use for this stage.
        """
        job, sidecar = await self._recognized(id_)
        order = ordering.redone(self._live.config, job, profile, given, stage, sidecar)
        job = await self._store.run(
            jobs.redo, id_, **order._asdict(), now=self._clock.time(), stage=stage
        )
        with logs.about(**job.subject):
            log.info("queued to be redone", extra={"event": Event.JOB_QUEUED})
        return job

    def _wanted(
        self, profile: str | None, given: Mapping[str, str], sidecar: Sidecar | None = None
    ) -> Callable[[Job], jobs.Order]:
        return partial(ordering.asked, self._live.config, profile, given, sidecar)

    async def _sidecar(self, inbox: Inbox, path: bytes) -> Sidecar:
        place = self._folders.place(inbox.path, path)
        return await self._folders.run(place, sidecars.read, inbox.path, path, self._live.config)

    async def _recognized(self, id_: int) -> tuple[Job, Sidecar | None]:
        """The job, and what lies beside its recording now; None: that can't be seen.

        The recording is fingerprinted if it was unreadable before, or had left.
        """
        job = await self._store.read(queries.get, id_)
        inbox = self._live.config.inbox(job.inbox)
        if inbox is None:
            return job, None
        if job.sha256 is None or job.disposed is not None:
            with contextlib.suppress(OSError, SourceChanged):  # its run will report it
                source = await self._source(inbox, job.path)
                if job.disposed is None:
                    await self._store.run(jobs.recognize, id_, source)
                elif source.sha256 == job.sha256:  # it was put back
                    await self._store.run(jobs.come_back, job, None, self._clock.time())
        with contextlib.suppress(OSError):
            return job, await self._sidecar(inbox, job.path)
        return job, None


def _unstored(inbox: Inbox, error: OSError) -> str:
    what = f"inbox {inbox.name}: scriberrd may not write into its folder ({error.strerror})"
    copy = "or copy the recording there yourself"
    if isinstance(error, PermissionError):
        place = f'path of [[inbox]] "{inbox.name}"'
        return f"{what}: let its user do so (chown or setfacl; {place}), {copy}"
    if error.errno == errno.EROFS:
        return f"{what}: have it mounted writable, {copy}"
    return f"inbox {inbox.name}: {error.strerror}"


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    left = limit
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise UploadTooLarge(f"more than daemon.max_upload ({limit} bytes)")
        yield chunk
