"""Models that are pulled: each by a worker process of its own, beside the slots of the jobs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from scriberrd import protocol
from scriberrd.errors import (
    ModelUnknown,
    PullFailed,
    ScriberrdError,
    ShuttingDown,
    StoreError,
    WorkerDied,
)
from scriberrd.failures import FAILURES
from scriberrd.queue import jobs
from scriberrd.work.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.config import Live
    from scriberrd.model import Clock
    from scriberrd.queue.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 2  # pulls; further ones wait for their turn
NAME = "models"  # of these workers
STOPPING = "the daemon is stopping"
STEP = 0.01  # of the whole: how far a download gets from one event to the next

News = protocol.Pulling | protocol.Pulled


class Pull:
    """A pull in progress, as those who asked for it see it."""

    def __init__(self) -> None:
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.news: News | None = None

    def tell(self, news: News) -> None:
        """Note how far it is."""
        self.news = news
        if not self.first.done():
            self.first.set_result(None)


class Pulls:
    """All pulls of a daemon: one for each model, however many ask for it."""

    def __init__(self, live: Live, store: Store, clock: Clock, pulled: Callable[[], None]) -> None:
        """Make it; `pulled` is called whenever a model has come."""
        self._live, self._store, self._clock, self._pulled = live, store, clock, pulled
        self._going: dict[str, Pull] = {}
        self._group: asyncio.TaskGroup | None = None
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Serve until canceled; pulls in progress end then, and what has come of them is kept."""
        try:
            async with asyncio.TaskGroup() as self._group:
                await asyncio.Event().wait()
        finally:
            self._group = None

    async def pull(self, model: str) -> News:
        """Have a model in the cache; how far that is, once it is known.

        It goes on when nobody waits for it any more. Its progress and its end are events.

        Raises:
            ModelUnknown: there is none of this name.
            PullFailed: it can't be had.
            ShuttingDown: the daemon is stopping.
        """
        going = self._going.get(model)
        if going is None:
            if self._group is None:
                raise ShuttingDown(STOPPING)
            going = self._going[model] = Pull()
            self._group.create_task(self._serve(model, going))
        await asyncio.shield(going.first)
        assert going.news is not None  # noqa: S101 - for the type checker
        return going.news

    async def _serve(self, model: str, going: Pull) -> None:
        error: ScriberrdError | None = ShuttingDown(STOPPING)
        try:
            async with self._places:
                await self._have(model, going)
            error = None
        except ScriberrdError as failed:
            log.warning("model %s can't be pulled: %s", model, failed)
            error = failed
        except Exception:
            log.exception("model %s: an error inside scriberrd", model)
            error = _failure("internal_error", "see the journal")
        finally:
            del self._going[model]  # before the end is told: who asks from now on asks anew
            if error is not None and not going.first.done():
                going.first.set_exception(error)
                going.first.exception()  # perhaps nobody waits any more: no reason to complain
        if error is not None and going.news is not None:
            await self._record(jobs.pull_failed, model, detail=str(error))

    async def _have(self, model: str, going: Pull) -> None:
        """Have a worker pull it, and pass on what it says."""
        process = await self._worker()
        try:
            cache = self._live.config.daemon.model_cache
            process.send(protocol.Pull(model=model, model_cache=cache))
            told = -1
            while True:
                reply = await self._reply(process)
                match reply:
                    case protocol.Pulling():
                        step = int(reply.bytes / reply.total / STEP) if reply.total else 0
                        if going.news is None:
                            log.info("model %s is being downloaded: %s", model, reply.repository)
                        if going.news is None or step > told:
                            told = step
                            await self._record(jobs.pulling, model, news=reply)
                        going.tell(reply)
                    case protocol.Pulled():
                        if going.news is not None:
                            log.info("model %s is in the cache: %s", model, reply.revision)
                            going.tell(reply)  # before the event: nobody may wait for it in vain
                            await self._record(jobs.pulled, model, news=reply)
                            self._pulled()
                        going.tell(reply)
                        return
                    case protocol.PullFailed(code=None):
                        raise ModelUnknown(reply.detail)
                    case protocol.PullFailed():
                        raise _failure(reply.code, reply.detail)
        except WorkerDied as error:
            raise _failure(error.failure, str(error)) from error
        finally:
            await process.kill()

    async def _worker(self) -> Process:
        try:
            return await Process.spawn(NAME)
        except OSError as error:
            raise _failure("no_worker", error.strerror or str(error)) from error

    async def _reply(self, process: Process) -> protocol.PullReply:
        patience = max(pool.stall_timeout for pool in self._live.config.workers)
        try:
            async with asyncio.timeout(patience):
                return await process.receive_of_pull()
        except TimeoutError:
            detail = f"no progress for {patience:.0f} s: pull it again to go on"
            raise _failure("worker_stalled", detail) from None

    async def _record(self, record: Callable[..., None], model: str, **what: object) -> None:
        """Record an event; a database that is out stops no download."""
        try:
            await self._store.run(record, model, now=self._clock.time(), **what)
        except StoreError as error:
            log.warning("model %s: can't record how far it is: %s", model, error)


def _failure(code: str | None, detail: str) -> PullFailed:
    if code == "model_missing":  # which it is, or nobody would pull it
        return PullFailed(detail)
    kind = FAILURES[code if code in FAILURES else "internal_error"]
    return PullFailed("; ".join(filter(None, [f"{kind.message}: {detail}", kind.advice])))
