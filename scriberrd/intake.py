"""A settled or uploaded file becomes a job, unless it is known."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, get_args

import msgspec

from scriberrd import jobs, listing, publish, sources
from scriberrd.errors import InvalidRequest, UploadFailed, UploadTooLarge
from scriberrd.files import NEW, name_new
from scriberrd.inbox import rules
from scriberrd.model import TERMINAL, JobState, Priority, PriorityName, Settings, Source, display

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from scriberrd.config import Config, Inbox
    from scriberrd.inbox import Found
    from scriberrd.model import Clock, Identity, Job
    from scriberrd.store import Store

log = logging.getLogger(__name__)

HASHING = 2  # files that are read at once: more would only share the disk
NAME_MAX = 255  # bytes, on every Linux file system
UPLOADING = b".scriberrd-upload-%s.part"  # hidden, and in no list of extensions


class Intake:
    """Accepts recordings for the queue."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self.config = config  # may be replaced while the daemon runs
        self._store = store
        self._clock = clock
        # Apart from all other blocking work, which must not wait for big files to be read.
        self._hashing = ThreadPoolExecutor(HASHING, "scriberrd-hashing")

    def close(self) -> None:
        """End the threads; call it when nothing is being accepted any more."""
        self._hashing.shutdown(cancel_futures=True)

    def sweep(self) -> None:
        """Remove uploads that an earlier daemon did not live to finish: nobody was told of them."""
        prefix = UPLOADING.partition(b"%s")[0]
        for inbox in self.config.inboxes:
            with contextlib.suppress(OSError), os.scandir(os.fsencode(inbox.path)) as entries:
                for entry in entries:
                    if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                        os.unlink(entry.path)
                        log.info("an unfinished upload was removed from inbox %s", inbox.name)

    async def unknown(self, inbox: Inbox, found: list[Found]) -> list[Found]:
        """Those of the found files that no job knows in this version."""
        news, renumbered = await self._store.read(jobs.unknown, inbox.name, found)
        if renumbered:
            await self._store.run(jobs.renumber, inbox.name, renumbered)
        paths = set(news)
        return [one for one in found if one.path in paths]

    async def accept(
        self,
        inbox: Inbox,
        path: bytes,
        *,
        identity: Identity | None = None,
        profile: str | None = None,
        priority: str | None = None,
    ) -> tuple[Job, bool]:
        """Queue the recording at this path; tells whether there is anything new to be done.

        Args:
            inbox: where it lies.
            path: relative to the inbox.
            identity: the version that has settled; without it a person asks, for whatever is there
                now: what failed or was canceled is queued again, what waits takes what is said, and
                what is in processing takes the priority.
            profile: instead of the inbox's.
            priority: instead of the profile's.

        Raises:
            InvalidRequest: no such profile, priority or file.
            SourceChanged: it is being written to.
        """
        name, settings = self._settings(profile or inbox.profile, priority)
        try:
            fingerprint = await self._fingerprint(inbox.path, path, identity)
            source = Source(inbox.name, path, *fingerprint)
        except OSError as error:
            code = sources.failure_code(error)
            if identity is None or code != "unreadable":
                raise InvalidRequest(f"{display(path)!r}: {error.strerror}") from error
            # The job will say what is wrong, where people look for it.
            source = Source(inbox.name, path, identity, sha256=None)
        job, new = await self._store.run(
            jobs.submit,
            source,
            profile=name,
            settings=settings,
            now=self._clock.time(),
            wanted=partial(self._wanted, profile, priority) if identity is None else None,
        )
        if new:
            log.info("job %d queued: %s/%s", job.id, inbox.name, display(path))
        return job, new

    async def _fingerprint(
        self, root: Path, path: bytes, settled: Identity | None
    ) -> sources.Fingerprint:
        stop = Event()
        read = partial(sources.fingerprint, root, path, settled=settled, stop=stop)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, read)
        finally:
            stop.set()  # the thread knows nothing of a cancellation, and the exit waits for it

    async def receive(
        self,
        inbox: Inbox,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        profile: str | None = None,
        priority: str | None = None,
    ) -> tuple[Job, bool]:
        """Keep uploaded bytes as a file of the inbox, and queue it.

        The file gets its name only when all of it is on the disk; no file is overwritten.

        Raises:
            InvalidRequest: a name that can't be one, or is none of a recording.
            UploadFailed: the inbox can't be written.
            UploadTooLarge: more than `daemon.max_upload`.
        """
        self._settings(profile or inbox.profile, priority)
        leaf = os.fsencode(os.path.basename(name.replace("\0", "")))
        if not rules.wanted(leaf, inbox.extensions) or len(leaf) > NAME_MAX:
            allowed = ", ".join(inbox.extensions)
            raise InvalidRequest(f"name: {name!r} is no recording's; extensions: {allowed}")
        try:
            with _opened(inbox.path) as folder, _temporary(folder) as temporary:
                sha256 = await self._store_upload(folder, temporary, chunks)
                known = await self._store.run(
                    jobs.submit_again,
                    inbox.name,
                    sha256,
                    profile=profile or inbox.profile,
                    now=self._clock.time(),
                    wanted=partial(self._wanted, profile, priority),
                )
                # An upload that is repeated, because its answer got lost. From this look on what
                # becomes of that recording is up to whoever removes it, as after any answer.
                if known is not None and await self._kept(inbox, known):
                    return known, False
                path = await asyncio.to_thread(_name_upload, folder, temporary, leaf)
        except OSError as error:
            raise UploadFailed(f"inbox {inbox.name}: {error.strerror}") from error
        job, new = await self.accept(inbox, path, profile=profile, priority=priority)
        if job.state is JobState.COMPLETED and not await self._kept(inbox, job):
            # There was one like it of that name, which has gone, and its transcript too.
            name = profile or inbox.profile
            return await self.redo(job.id, profile=name, priority=priority), True
        return job, new

    async def _kept(self, inbox: Inbox, job: Job) -> bool:
        """Whether a live or completed job can do without another copy of its recording."""
        outputs = await self._store.read(listing.outputs, job.id)
        return await asyncio.to_thread(_there, inbox, job, outputs)

    async def _store_upload(self, folder: int, name: bytes, chunks: AsyncIterator[bytes]) -> str:
        digest = hashlib.sha256()
        with os.fdopen(os.open(name, NEW, 0o666, dir_fd=folder), "wb") as file:
            async for chunk in _limited(chunks, self.config.daemon.max_upload):
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        return digest.hexdigest()

    async def retry(self, id_: int) -> Job:
        """Queue a failed or canceled job again, or let a waiting one go at once.

        Its profile may have been mended meanwhile: it goes on as that is configured now.

        Raises:
            JobNotFound: no such job.
            IllegalMove: it is in processing or completed, or a newer job has its recording.
        """
        settings = self._today(await self._recognized(id_))
        return await self._store.run(jobs.retry, id_, self._clock.time(), settings=settings)

    async def redo(
        self, id_: int, *, profile: str | None = None, priority: str | None = None
    ) -> Job:
        """Queue an ended job anew, with its profile as it is configured now, or with another.

        Raises:
            JobNotFound: no such job.
            IllegalMove: it has not ended, or a newer job has its recording.
            InvalidRequest: there is no such profile, any more.
        """
        job = await self._recognized(id_)
        priority = priority or Priority(job.priority).name.lower()
        profile, settings = self._settings(profile or job.profile, priority)
        job = await self._store.run(
            jobs.redo, id_, profile=profile, settings=settings, now=self._clock.time()
        )
        log.info("job %d is to be done anew: %s/%s", id_, job.inbox, display(job.path))
        return job

    async def _recognized(self, id_: int) -> Job:
        """The job, whose recording is read if it could not be when it came."""
        job = await self._store.read(listing.get, id_)
        inbox = self.config.inbox(job.inbox)
        if job.sha256 is None and inbox is not None:
            with contextlib.suppress(OSError, sources.SourceChanged):  # its run will say so
                fingerprint = await self._fingerprint(inbox.path, job.path, None)
                source = Source(job.inbox, job.path, *fingerprint)
                await self._store.run(jobs.recognize, id_, source)
        return job

    def _wanted(self, profile: str | None, priority: str | None, job: Job) -> tuple[str, Settings]:
        """How a known job goes on when it is submitted by a person."""
        if profile is not None and job.state is not JobState.PROCESSING:
            return self._settings(profile, priority)
        settings = self._today(job) if job.state in TERMINAL else job.settings
        if priority is not None:
            settings = msgspec.structs.replace(settings, priority=priority)
        return job.profile, settings

    def _today(self, job: Job) -> Settings:
        """The settings of a job's profile now, or its own if that has gone; its own priority."""
        settings = self.config.profiles.get(job.profile, job.settings)
        return msgspec.structs.replace(settings, priority=Priority(job.priority).name.lower())

    def _settings(self, name: str, priority: str | None) -> tuple[str, Settings]:
        settings = self.config.profiles.get(name)
        if settings is None:
            allowed = ", ".join(self.config.profiles)
            raise InvalidRequest(f"profile: there is no {name!r}; allowed: {allowed}")
        if priority is not None:
            if priority not in get_args(PriorityName):
                allowed = ", ".join(get_args(PriorityName))
                raise InvalidRequest(f"priority: there is no {priority!r}; allowed: {allowed}")
            settings = msgspec.structs.replace(settings, priority=priority)
        return name, settings


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _temporary(folder: int) -> Iterator[bytes]:
    """A name for an upload; a file that still has it in the end is removed."""
    name = UPLOADING % os.urandom(8).hex().encode()
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):  # what can't be removed now is swept at the next start
            os.unlink(name, dir_fd=folder)


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    left = limit
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise UploadTooLarge(f"more than daemon.max_upload ({limit} bytes)")
        yield chunk


def _there(inbox: Inbox, job: Job, outputs: list[listing.Output]) -> bool:
    """Whether a completed job has its transcript, or a live one its recording."""
    try:
        if job.state is JobState.COMPLETED:
            publish.read(*next(output for output in outputs if output.name.endswith(b".json")))
        else:
            os.close(sources.open_version(inbox.path, job.path, job.identity))
    except (StopIteration, OSError, sources.SourceChanged):
        return False
    return True


def _name_upload(folder: int, temporary: bytes, name: bytes) -> bytes:
    """Give the uploaded file its name, or the first free one like it; durable on return."""
    stem, dot, extension = name.rpartition(b".")
    for number in count(1):
        mark = b"" if number == 1 else b"-%d" % number
        path = stem[: NAME_MAX - len(mark + dot + extension)] + mark + dot + extension
        with contextlib.suppress(FileExistsError):
            name_new(folder, temporary, path)
            break
    os.fsync(folder)
    return path
