"""A transcript becomes its files: as often as there is a newer one, by whoever holds the job.

It can be interrupted anywhere and done again: the same transcript gives the same bytes, so that the
second time finds its files in place, and knows them as its own.

Nobody publishes the transcript of a recording while another run still may: each recording has a
lock for that. Where a file system does not answer, the run gives up, and its call may still come
to something later; but until then nothing else is asked of that folder (see files/folders.py), so a
newer transcript is published after it.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from scriberrd.errors import LeaseLost, TaskFailed
from scriberrd.files.folders import Heartbeat
from scriberrd.output import published, staging
from scriberrd.output.publication import Publication
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.model import Clock, Job
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Result, Transcript


class Publisher:
    """Publishes transcripts, one of a recording at a time."""

    def __init__(self, store: Store, folders: Folders, clock: Clock) -> None:
        self._store, self._folders, self._clock = store, folders, clock
        self._turns: WeakValueDictionary[tuple[str, bytes], asyncio.Lock] = WeakValueDictionary()

    async def publish(
        self,
        inbox: Inbox,
        job: Job,
        text: Transcript | Result,
        *,
        sharing: Sequence[str] = (),
        heartbeat: Heartbeat | None = None,
    ) -> None:
        """Publish the transcript of a job, instead of what it has published before.

        Whoever does not wait for it any more leaves it to its end: until then nobody else
        publishes this recording.

        Args:
            inbox: of the recording.
            job: as it was claimed.
            text: its transcript.
            sharing: the other inboxes that have the same output folder.
            heartbeat: tells whoever holds the lease that the publication gets on.

        Raises:
            LeaseLost: the job was taken back; what is published belongs to its next run.
            TaskFailed: the output folder can't be written.
        """
        publication = Publication(
            self._store, self._folders, inbox, job, sharing, heartbeat or Heartbeat()
        )
        publishing = asyncio.create_task(self._publish(publication, inbox, job, text))
        publishing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(publishing)

    async def _publish(
        self, publication: Publication, inbox: Inbox, job: Job, text: Transcript | Result
    ) -> None:
        async with self.turn(job.inbox, job.path):
            try:
                await publication.publish(text)
            except OSError as error:
                code = await self._failure_code(inbox, error)
                raise TaskFailed(code, error.strerror or type(error).__name__) from error
            lease, now = jobs.Lease(job.id, job.lease), self._clock.time()
            try:
                await self._store.insist(jobs.published, lease, now=now, warnings=text.warnings)
            except LeaseLost:
                await publication.take_back()
                raise

    def turn(self, inbox: str, path: bytes) -> asyncio.Lock:
        """To be held by whoever changes what is published of a recording."""
        return self._turns.setdefault((inbox, path), asyncio.Lock())

    async def _failure_code(self, inbox: Inbox, error: OSError) -> str:
        """As `staging.failure_code`, unless only the names of this recording are the trouble."""
        code = staging.failure_code(error)
        if code == "disk_full":
            return code
        try:
            await self.try_folder(inbox)
        except OSError:
            return code
        return "output_blocked"

    async def delete(self, inbox: Inbox, aged: jobs.Aged, before: float) -> bool:
        """Delete a published file for its age; whether there is none of ours any more.

        Args:
            inbox: whose output folder it lies in.
            aged: the file, as it was found; one that was published again meanwhile stays.
            before: the time before which it was written; a younger one stays.

        Raises:
            OSError: it can't be deleted, or something is wrong with the output folder.
        """
        root, output = inbox.output, aged.output
        mounts = await self._store.read(jobs.mounts)

        def remove() -> bool:
            staging.require_mounted(root, [output.name], mounts)
            return published.remove(root, output.name, output.prints, before)

        async with self.turn(output.inbox, aged.path):
            if not await self._store.read(jobs.is_aged, aged):
                return False
            gone = await self._folders.run(root, remove)
            if gone:  # after a crash before this it is looked for again
                await self._store.run(jobs.forget_output, output)
            return gone

    async def is_due(self, inbox: Inbox, aged: jobs.Aged, before: float) -> bool:
        """Whether `delete` would delete a published file now.

        Raises:
            OSError: it can't be looked at.
        """
        output = aged.output

        def look() -> bool:
            seen = published.look(inbox.output, output.name, output.prints)
            written = math.inf if seen.identity is None else seen.identity.mtime_ns / 1e9
            return seen.print is not None and written < before

        return await self._folders.run(inbox.output, look)

    async def purge(self, inbox: Inbox, job: Job) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Delete all that is published of the recording of a job that was removed.

        Gives the names of what was deleted, and of what was edited and is left.

        Raises:
            OSError: it can't be deleted, or something is wrong with the output folder.
        """
        root, mounts = inbox.output, await self._store.read(jobs.mounts)
        async with self.turn(job.inbox, job.path):
            outputs = await self._store.read(
                queries.outputs_of_recording, job.inbox, job.path, job.sha256
            )
            names = [output.name for output in outputs]

            def remove() -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
                staging.require_mounted(root, names, mounts)
                before = published.existing(root, names)
                for output in outputs:
                    published.remove(root, output.name, output.prints)
                left = published.existing(root, before)
                return tuple(name for name in before if name not in left), left

            gone, left = await self._folders.run(root, remove)
            for output in outputs:
                await self._store.run(jobs.forget_output, output)
            return gone, left

    async def try_folder(self, inbox: Inbox) -> None:
        """See that files can be written to an output folder: raises OSError, and leaves nothing."""
        mounts = await self._store.read(jobs.mounts)
        await self._folders.run(inbox.output, staging.try_folder, inbox.output, mounts)
