"""What was wrong with recordings, and may be mended without a trace at the recordings themselves.

A folder above was closed, a group has changed, a sidecar was bad: it is looked at again. One that
was renamed is not missing.
"""

from __future__ import annotations

import contextlib
import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from scriberrd import logs
from scriberrd.files import sources
from scriberrd.inbox import ordering, sidecars
from scriberrd.model import display
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scriberrd.config import Config, Inbox, Live
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.scan import Found
    from scriberrd.model import Clock, Job, Sidecar, Source
    from scriberrd.queue.store import Store

log = logging.getLogger(__name__)


class Mending:
    """Looks at recordings again, each once in `daemon.rescan` while nothing has changed."""

    def __init__(self, live: Live, store: Store, clock: Clock, folders: Folders) -> None:
        self._live, self._store, self._clock, self._folders = live, store, clock, folders
        self._seen: dict[tuple[str, bytes], float] = {}  # until when one is not looked at again

    async def look(self, inbox: Inbox, found: list[Found]) -> tuple[list[Found], list[Job]]:
        """The files that can be read now, and the failed jobs whose sidecars are others now."""
        now, config = self._clock.monotonic(), self._live.config
        self._seen = {key: until for key, until in self._seen.items() if until > now}
        due = [one for one in found if (inbox.name, one.path) not in self._seen]
        known = [await self._store.read(jobs.newest, inbox.name, one.path) for one in due]
        failed = [job for job in known if job is not None]
        if not failed:
            return [], []
        try:
            place = self._folders.place(inbox.path, found[0].path)
            mended = await self._folders.run(place, _mended, inbox, failed, config)
        except OSError:  # the watch of the inbox reports it
            return [], []
        readable = {job.path for job in mended if job.error_code == "unreadable"}
        self._seen |= {(inbox.name, one.path): now + config.daemon.rescan for one in due}
        for path in readable:  # it may have to settle
            del self._seen[inbox.name, path]
        again = [job for job in mended if job.path not in readable]
        return [one for one in due if one.path in readable], again


def _mended(inbox: Inbox, failed: list[Job], config: Config) -> list[Job]:
    """Those jobs of which no longer holds what they failed for."""
    mended = []
    for job in failed:
        try:
            if _is_mended(inbox, job, config):
                mended.append(job)
        except OSError:
            continue
        except Exception:  # one recording must not hold up all others
            with logs.about(**job.subject):
                log.exception("an error inside scriberrd")
    return mended


def _is_mended(inbox: Inbox, job: Job, config: Config) -> bool:
    if job.error_code != "unreadable":
        return sidecars.read(inbox.path, job.path, config) != job.sidecar
    os.close(sources.open_source(inbox.path, job.path, links=inbox.links))
    return True


async def move_along(
    config: Config,
    store: Store,
    folders: Folders,
    clock: Clock,
    inbox: Inbox,
    moved: Sequence[tuple[Source, Sidecar]],
) -> None:
    """Have jobs whose recordings were renamed before they were begun go on as these.

    What lies beside a recording under its new name counts from then on.
    """
    beside = {source.path: sidecar for source, sidecar in moved}
    along = set[int]()  # of two links to one recording, only the first takes its job
    for source, job in await store.search(jobs.movable, [source for source, _ in moved]):
        if job.id in along:
            continue
        look = partial(sources.gone, inbox.path, job.path, job.identity.dev)
        with contextlib.suppress(OSError):  # then it is another recording, as any copy
            if not await folders.run(folders.place(inbox.path, job.path), look):
                continue
            order = ordering.moved(config, job, beside[source.path])
            move = partial(jobs.move_along, order=order, now=clock.time())
            if await store.run(move, job.id, source) is not None:
                along.add(job.id)
                with logs.about(**job.subject):
                    log.info("moves along with its recording to %r", display(source.path))
