"""What is older than `[retention]` says goes, hourly and in small steps."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

from scriberrd import jobs, published
from scriberrd.errors import StoreError
from scriberrd.model import display

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from scriberrd.config import Config, Inbox
    from scriberrd.folders import Folders
    from scriberrd.listing import Output
    from scriberrd.model import Clock
    from scriberrd.store import Store

log = logging.getLogger(__name__)

INTERVAL = 3600.0  # seconds
BATCH = 100  # rows that go in one transaction


async def keep(store: Store, folders: Folders, config: Config, clock: Clock) -> None:
    """Prune for as long as the daemon runs."""
    while True:
        try:
            await prune(store, folders, config, clock.time())
        except StoreError as error:
            log.warning("nothing is pruned for now: %s", error)
        await asyncio.sleep(INTERVAL)


async def prune(store: Store, folders: Folders, config: Config, now: float) -> None:
    """Delete and forget what is too old at `now`; an age of 0 is none.

    Raises:
        StoreError: the database can't be used; what is left goes the next time.
    """
    retention = config.retention
    if retention.transcripts:
        await _delete_transcripts(store, folders, config.inboxes, now - retention.transcripts)
    if retention.jobs:
        step = functools.partial(jobs.prune, now=now)
        await _forget(store, step, now - retention.jobs, "jobs")
    if retention.events:
        await _forget(store, jobs.prune_events, now - retention.events, "events")


async def _forget(store: Store, step: Callable[..., int], before: float, what: str) -> None:
    total = number = await store.run(step, before, BATCH)
    while number == BATCH:
        number = await store.run(step, before, BATCH)
        total += number
    if total:
        log.info("%d %s are pruned", total, what)


async def _delete_transcripts(
    store: Store, folders: Folders, inboxes: Collection[Inbox], before: float
) -> None:
    roots = {inbox.name: inbox.output for inbox in inboxes}
    total, last = 0, None
    while batch := await store.read(jobs.published_before, before, last, BATCH):
        gone = []
        for _, output in batch:
            root = roots.get(output.inbox)
            if root is not None and await _delete(folders, root, output):
                gone.append(output)
        # Forgotten once they are gone: after a crash in between they are looked for again.
        await store.run(jobs.forget_outputs, gone)
        total, last = total + len(gone), batch[-1]
    if total:
        log.info("%d published files are deleted, or left to those who changed them", total)


async def _delete(folders: Folders, root: Path, output: Output) -> bool:
    """Delete a file; whether there is none of ours any more."""
    try:
        await folders.run(root, published.remove, root, output.name, output.prints)
    except OSError as error:
        log.warning("%r can't be deleted: %s", display(output.name), error.strerror)
        return False
    return True
