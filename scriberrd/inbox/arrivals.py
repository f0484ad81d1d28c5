"""Queue the files that scans find, unless they are known or left alone."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from scriberrd import logs
from scriberrd.errors import RequestError, SourceChanged
from scriberrd.files import leaving
from scriberrd.inbox import existing, mending, ordering, reading
from scriberrd.logs import Event
from scriberrd.model import display
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from scriberrd.config import Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.intake import Intake
    from scriberrd.inbox.scan import Found
    from scriberrd.model import Clock, Sidecar, Source
    from scriberrd.queue.store import Store

log = logging.getLogger(__name__)


class Arrivals:
    """Accepts recordings for the queue."""

    def __init__(
        self, live: Live, store: Store, clock: Clock, folders: Folders, intake: Intake
    ) -> None:
        self._live, self._store, self._clock, self._folders = live, store, clock, folders
        self._intake = intake
        self._mending = mending.Mending(live, store, clock, folders)

    async def unknown(self, inbox: Inbox, found: list[Found]) -> tuple[list[Found], list[Found]]:
        """The files of which no job knows this version; and those that may have been mended."""
        known = await self._store.search(jobs.unknown, inbox.name, found)
        if known.renumbered:
            await self._store.run(jobs.renumber, inbox.name, known.renumbered)
        news, mendable = set(known.news), {path for path, _ in known.mendable}
        again = [one for one in found if one.path in mendable]
        mended = await self.mended(inbox, again) if again else []
        again += [one for one in found if one.path in known.undecided]
        return [one for one in found if one.path in news] + mended, again

    async def mended(self, inbox: Inbox, found: list[Found]) -> list[Found]:
        """Those files that can be read now; a job whose sidecar is another now starts again."""
        readable, again = await self._mending.look(inbox, found)
        for job in again:
            with contextlib.suppress(RequestError):  # somebody else has been faster
                await self._intake.retry(job.id)
        return readable

    async def first(self, inbox: Inbox, found: list[Found]) -> None:
        """Take in all that was there when an inbox was watched for the first time."""
        await existing.first(self._live.config, self._store, inbox, found)

    async def left(self, inbox: Inbox, paths: list[bytes]) -> None:
        """Name recordings back that were leaving when what knew of it was lost.

        That is the database, or the name of the inbox.
        """
        tokens = {path: leaving.token_of(path) or "" for path in paths}
        known = await self._store.read(jobs.are_leaving, inbox.name, tokens.values())
        for path, token in tokens.items():
            if token in known:
                continue
            place = self._folders.place(inbox.path, path)
            try:
                name = await self._folders.run(place, leaving.put_back, inbox.path, path)
            except OSError:  # it has just left, or is tried again at the next scan
                continue
            await self._store.run(jobs.call_off, token)
            text = display(name)
            log.warning("%r was leaving, nobody knows why: it stays", text)

    async def take(self, inbox: Inbox, found: list[Found]) -> list[Exception | None]:
        """Read settled recordings of one file system together, and queue them.

        Returns:
            What each could not be queued for: SourceChanged, InboxUnavailable, NoAnswer,
            InvalidRequest.

        Raises:
            OutputUnavailable: whether they are transcribed already can't be seen.
            StoreError: nothing can be queued.
        """
        config, outcomes = self._live.config, dict[bytes, Exception | None]()
        for one in found:
            if one.identity[:2] in self._intake.receiving:
                # Who receives it queues it, or takes it away again.
                outcomes[one.path] = SourceChanged(one.path)
        arrived = [one for one in found if one.path not in outcomes]
        outcomes |= await existing.skip(config, self._store, self._folders, inbox, arrived)
        wanted = [one for one in arrived if one.path not in outcomes]
        whole: list[tuple[Source, Sidecar]] = []
        read = await reading.read(config, self._folders, inbox, wanted)
        for one, (source, sidecar) in zip(wanted, read, strict=True):
            if isinstance(source, Exception):
                outcomes[one.path] = source
            else:
                whole.append((source, sidecar))
        await mending.move_along(config, self._store, self._folders, self._clock, inbox, whole)
        orders = [
            (source, ordering.order(config, sidecar.profile or inbox.profile, {}, sidecar))
            for source, sidecar in whole
        ]
        queued = await self._store.run(jobs.submit_all, orders, self._clock.time())
        for (source, _), outcome in zip(whole, queued, strict=True):
            if isinstance(outcome, Exception):
                outcomes[source.path] = outcome
                continue
            job, new = outcome
            if new:
                with logs.about(**job.subject):
                    log.info("queued", extra={"event": Event.JOB_QUEUED})
            await self._intake.came_back(inbox, job)
        return [outcomes.get(one.path) for one in found]
