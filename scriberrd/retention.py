"""What is older than `[retention]` says goes, hourly and in small steps."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

from scriberrd import jobs, publish
from scriberrd.errors import StoreError
from scriberrd.model import display

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scriberrd.config import Retention
    from scriberrd.listing import Output
    from scriberrd.model import Clock
    from scriberrd.store import Store

log = logging.getLogger(__name__)

INTERVAL = 3600.0  # seconds
BATCH = 100  # rows that go in one transaction


async def keep(store: Store, retention: Retention, clock: Clock) -> None:
    """Prune for as long as the daemon runs."""
    while True:
        try:
            await prune(store, retention, clock.time())
        except StoreError as error:
            log.warning("nothing is pruned for now: %s", error)
        await asyncio.sleep(INTERVAL)


async def prune(store: Store, retention: Retention, now: float) -> None:
    """Delete and forget what is too old at `now`; an age of 0 is none.

    Raises:
        StoreError: the database can't be used; what is left goes the next time.
    """
    if retention.transcripts:
        await _delete_transcripts(store, now - retention.transcripts)
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


async def _delete_transcripts(store: Store, before: float) -> None:
    total, after = 0, b""
    while batch := await store.read(jobs.published_before, before, after, BATCH):
        published = await store.read(jobs.written, [output.path for output in batch])
        gone = await asyncio.to_thread(_delete, batch, published)
        # Forgotten once they are gone: after a crash in between they are looked for again.
        await store.run(jobs.forget_outputs, gone)
        total, after = total + len(gone), batch[-1].path
    if total:
        log.info("%d published files are deleted, or left to those who changed them", total)


def _delete(outputs: Sequence[Output], published: Mapping[bytes, list[str]]) -> list[bytes]:
    """Delete files; the paths where there is none of ours any more."""
    gone = []
    for output in outputs:
        try:
            publish.remove(*output, published[output.path])
        except OSError as error:
            log.warning("%r can't be deleted: %s", display(output.name), error.strerror)
        else:
            gone.append(output.path)
    return gone
