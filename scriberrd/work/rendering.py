"""Transcripts that are written again without a worker: with other names, or in other formats.

That takes seconds, so it waits for no slot, and pauses and hours do not hold it up. If it breaks
off, its job is queued, and a slot does the same.
"""

from __future__ import annotations

import asyncio
import logging
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd import logs, overrides
from scriberrd.errors import (
    InvalidRequest,
    LeaseLost,
    SpeakersNotTold,
    TaskFailed,
    TranscriptNotReady,
    WordsNotKept,
)
from scriberrd.library.gathering import named
from scriberrd.library.remaking import remade
from scriberrd.logs import Event
from scriberrd.queue import jobs, queries
from scriberrd.settings import RENDERING, replaced
from scriberrd.work.diarizing import wants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scriberrd.config import Config, Inbox
    from scriberrd.library.remaking import Remade
    from scriberrd.logs.context import Subject
    from scriberrd.model import Job
    from scriberrd.work.means import Means

log = logging.getLogger(__name__)

NAME = "rendering"  # of what takes these jobs, where a worker's is otherwise
NOTHING: Mapping[str, str] = MappingProxyType({})  # is set over the profile
LEASE = 600.0  # seconds; nobody takes it back while this daemon lives


class Renderings:
    """Writes transcripts again."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._turn = asyncio.Lock()  # one at a time

    async def name(self, id_: int, label: str, name: str) -> Job:
        """Name a speaker of a completed job, and write its files again.

        Raises:
            InvalidRequest: its transcript shows no such speaker.
            WordsNotKept: there is nothing to make the files of: then the name is not kept either.
            SpeakersNotTold: there are the words only; likewise.
            others: as `render`.
        """
        store = self._means.store
        async with self._turn:
            await store.read(jobs.require_shown, id_, label)
            made = await self._made(id_, NOTHING)
            await store.run(jobs.name, id_, label, name, self._means.clock.time())
            return await self._written(*made)

    async def render(self, id_: int, given: Mapping[str, str] = NOTHING) -> Job:
        """Write the files of an ended job again, as its profile wants them now.

        Args:
            id_: of the job.
            given: what is set over the profile, beside what was set before.

        Raises:
            InvalidRequest: that is of no use here, or a value is not allowed.
            JobNotFound: there is no such job.
            TranscriptNotReady: its inbox is not configured any longer.
            WordsNotKept: there is nothing to make them of.
            SpeakersNotTold: there are the words only.
            IllegalMove: it has not ended, or a newer job has its recording.
            StoreError: the database can't be used.
        """
        async with self._turn:
            return await self._written(*await self._made(id_, given))

    async def _made(self, id_: int, given: Mapping[str, str]) -> tuple[Inbox, Job, Remade]:
        """The transcript of a job, as it is ordered; nothing is changed by that."""
        means = self._means
        job = await means.store.read(queries.get, id_)
        job = _ordered(means.live.config, job, given)
        inbox = means.live.config.inbox(job.inbox)
        if inbox is None:
            raise TranscriptNotReady(f"no inbox {job.inbox!r} is configured any longer")
        made = await remade(means.library, means.store, means.folders, inbox, job)
        if made is None and wants(job):
            await means.library.require_words(means.store, job)
            raise SpeakersNotTold(job.id)
        if made is None:
            raise WordsNotKept(job.id)
        return inbox, job, made

    async def _written(self, inbox: Inbox, job: Job, made: Remade) -> Job:
        means = self._means
        job = await means.store.run(
            jobs.take_again,
            job.id,
            worker=NAME,
            now=means.clock.time(),
            expires=means.clock.monotonic() + LEASE,
            settings=job.settings,
            overrides=job.overrides,
        )
        what: Subject = {**job.subject, "execution": job.lease, "worker": NAME}
        with logs.about(**what):
            return await self._taken(inbox, job, made)

    async def _taken(self, inbox: Inbox, job: Job, made: Remade) -> Job:
        means = self._means
        try:
            return await self._publish(inbox, job, made)
        except LeaseLost:  # another version of the recording has come
            return await means.store.read(queries.get, job.id)
        except (TaskFailed, LookupError) as error:  # of the folder, or of the library
            log.warning("can't write its files, a worker will: %s", error)
            return await self._release(job)
        except BaseException:
            await self._release(job)
            raise

    async def _publish(self, inbox: Inbox, job: Job, made: Remade) -> Job:
        # Somebody has been named since it was made.
        text = replace(made.text, speakers=named(job, made.shown))
        sharing = self._means.live.config.sharing(inbox)
        await self._means.publisher.publish(inbox, job, text, sharing=sharing)
        job = await self._means.store.insist(
            jobs.finish,
            jobs.Lease(job.id, job.lease),
            language=text.language,
            now=self._means.clock.time(),
            duration=text.duration,
            shown=made.shown,
        )
        log.info("its files are written again", extra={"event": Event.JOB_PUBLISHED})
        return job

    async def _release(self, job: Job) -> Job:
        lease = jobs.Lease(job.id, job.lease)
        return await self._means.store.insist(jobs.release, lease, now=self._means.clock.time())


def _ordered(config: Config, job: Job, given: Mapping[str, str]) -> Job:
    """The job, to be written as its profile, and what is set over it, say now."""
    for key in given.keys() - set(RENDERING):
        raise InvalidRequest(
            f"{key}: stage merge only writes the files again: it sets formats alone"
        )
    over = {key: text for key, text in {**job.overrides, **given}.items() if text}
    today = overrides.apply(
        config.profiles.get(job.profile, job.settings),
        {key: over[key] for key in RENDERING if key in over},
    )
    return replace(job, settings=replaced(job.settings, today, *RENDERING), overrides=over)
