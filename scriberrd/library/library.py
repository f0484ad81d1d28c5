"""The library: what finished stages have made, kept by what it was made of.

It lies beside the queue's database, and is a cache: rows of the queue decide, and a library that
is lost or can't be used only means work: whoever asked goes on without.
"""

from __future__ import annotations

import contextlib
import logging
import math
import zlib
from typing import TYPE_CHECKING, NamedTuple

import apsw
import msgspec

from scriberrd.errors import WordsNotKept
from scriberrd.library import shelf
from scriberrd.library.file import BUSY_TIMEOUT, File
from scriberrd.model import JobState
from scriberrd.queue import jobs, queries
from scriberrd.transcript import BlockResult, Diarization

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from scriberrd.config import Live
    from scriberrd.model import Clock, Job
    from scriberrd.protocol import Probed
    from scriberrd.queue.store import Store
    from scriberrd.transcript import EngineInfo

log = logging.getLogger(__name__)

NAME = "library.db"


class Kept(NamedTuple):
    """The words of a recording."""

    probe: Probed
    engine: EngineInfo
    done: jobs.Done
    blocks: Iterable[BlockResult]  # from the first on whenever asked; LookupError: they have gone


class Library:
    """The library of a daemon."""

    def __init__(self, state: Path, live: Live, clock: Clock) -> None:
        self._live, self._clock = live, clock
        self._file = File(state / NAME, clock)

    async def restore(self, store: Store, job: Job, allow: Callable[[float | None], None]) -> bool:
        """Give a job the finished work of the same bytes with the same settings, if there is any.

        One of which only a stage is to be redone gets its own words back.

        Args:
            store: of the queue.
            job: in processing.
            allow: is asked first, with the seconds that the container tells, and may raise.

        Raises:
            LeaseLost: the job was taken back.
            StoreError: the queue's database can't be used.
        """
        if job.redo and job.redo_stage is None:
            return False
        found = await self.words(job, await store.read(jobs.work, job.id))
        if found is None:
            return False
        allow(found.probe.duration)
        lease, work = jobs.Lease(job.id, job.lease), jobs.Work(*found[:3], None)
        try:
            await store.insist(jobs.restore, lease, work, found.blocks)
        except LookupError as error:
            log.warning("can't use its result in the library: %s", error)
            return False
        log.info("found its words in the library")
        return True

    async def words(self, job: Job, work: jobs.Work) -> Kept | None:
        """The words of a job; if a stage is redone, those that its transcript was made of.

        Args:
            job: with the settings that count.
            work: what its runs have left behind.
        """
        steps, revision = tuple(map(str, job.fallbacks)), None
        if job.redo or job.state is not JobState.PROCESSING:
            if work.engine is None:
                return None
            steps, revision = work.engine.fallbacks, work.engine.revision or ""
        if job.sha256 is None or self._file.rests():
            return None
        key = shelf.Key.words(job.sha256, job.settings, steps)
        found = await self._file.run(shelf.find, key, self._clock.time(), revision=revision)
        if found is None:
            return None
        try:
            head = msgspec.json.decode(found.head, type=shelf.Head)
        except msgspec.MsgspecError:  # another version of scriberrd has written it
            return None
        settings = job.settings
        blind = head.probe.track is None and settings.audio_track == "speech"
        if blind and settings.diarize != "off":  # the turns might be those of another track
            return None
        return Kept(head.probe, head.engine, head.done, _Blocks(self._file.path, found))

    async def require_words(self, store: Store, job: Job) -> None:
        """See that the words of an ended job are kept, so that a stage of it can be redone.

        Raises:
            WordsNotKept: they are not.
            StoreError: the queue's database can't be used.
        """
        work = await store.read(jobs.work, job.id)
        if work.finished is None and await self.words(job, work) is None:
            raise WordsNotKept(job.id)

    async def keep(self, store: Store, job: Job) -> None:
        """Keep what is done of a job whose blocks are all done.

        Raises:
            StoreError: the queue's database can't be used.
        """
        work = await store.read(jobs.work, job.id)
        if (
            self._file.rests()
            or job.sha256 is None
            or work.probe is None
            or work.engine is None
            or work.finished is None
        ):
            return
        key = shelf.Key.words(job.sha256, job.settings, work.engine.fallbacks)
        head = shelf.Head(probe=work.probe, engine=work.engine, done=work.finished)
        with store.reader() as db:
            blocks = ((b.number, msgspec.json.encode(b)) for b in queries.Blocks(db, job.id))
            await self._put(key, work.engine.revision or "", msgspec.json.encode(head), blocks)

    async def turns(self, job: Job) -> Diarization | None:
        """Who speaks when in the recording of a job, if that is known.

        What is to be done anew counts once it was: after it was ordered.
        """
        if job.sha256 is None or self._file.rests():
            return None
        anew = job.redo and job.redo_stage != "merge"
        key = shelf.Key.turns(job.sha256, job.settings)
        return await self._file.run(_turns, key, self._clock.time(), job.queued_at if anew else 0.0)

    async def keep_turns(self, job: Job, diarization: Diarization) -> None:
        """Keep who speaks when, with the voices of the speakers."""
        if job.sha256 is not None and not self._file.rests():
            key = shelf.Key.turns(job.sha256, job.settings)
            parts = [(0, msgspec.json.encode(diarization))]
            await self._put(key, diarization.revision, b"{}", parts)

    async def _put(
        self, key: shelf.Key, revision: str, head: bytes, parts: Iterable[tuple[int, bytes]]
    ) -> None:
        now = self._clock.time()
        await self._file.run(shelf.put, key, revision, head, parts, now, self._limit)

    async def totals(self) -> shelf.Totals | None:
        """How much there is; None when it can't be told."""
        if not self._file.path.exists():
            return shelf.Totals()
        return await self._file.read(shelf.totals)

    async def forget(self, recordings: Collection[str]) -> bool:
        """Keep nothing of these recordings any more, by their SHA-256; False when that fails."""
        try:
            await self._file.forget_copy()
        except OSError as error:
            log.warning("can't remove the library's backup: %s", error.strerror)
            return False
        return await self._file.run(shelf.forget, recordings) or False

    async def prune(self, now: float) -> None:
        """Forget what was not used for as long as `[retention]` says, which 0 does not limit."""
        age = self._live.config.retention.library
        if await self._file.run(shelf.prune, now - age if age else -math.inf, self._limit):
            log.info("the library has forgotten what was not used for long")

    @property
    def _limit(self) -> float:
        """Bytes that the library may have."""
        return self._live.config.retention.library_size or math.inf

    def close(self) -> None:
        """Finish what runs, then close the file."""
        self._file.close()


def _turns(db: apsw.Connection, key: shelf.Key, now: float, since: float) -> Diarization | None:
    found = shelf.find(db, key, now, since=since)
    try:
        (part,) = shelf.parts(db, found) if found is not None else [b""]
        return msgspec.json.decode(part, type=Diarization)
    except (LookupError, ValueError, zlib.error):  # none, or not as this version writes it
        return None


class _Blocks:
    """The blocks of a result, for any thread, and from the first on whenever it is asked.

    They are read on their way into the queue: a day of speech is never in memory as a whole. What
    is wrong with them is a LookupError: what writes to the queue must not take it for its own.
    """

    def __init__(self, path: Path, found: shelf.Found) -> None:
        self._path, self._found = str(path), found

    def __iter__(self) -> Iterator[BlockResult]:
        try:
            connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY)
            with contextlib.closing(connection) as db:
                db.set_busy_timeout(BUSY_TIMEOUT)
                for part in shelf.parts(db, self._found):
                    yield msgspec.json.decode(part, type=BlockResult)
        except (apsw.Error, zlib.error, msgspec.MsgspecError) as error:
            raise LookupError(str(error)) from error
