"""The composition root: every room is made here, handed what it needs, started and stopped."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import resource
import sys
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd import logs, signals, systemd
from scriberrd.api import scraping
from scriberrd.api.access import guard
from scriberrd.api.app import application
from scriberrd.api.connections import serving
from scriberrd.api.metrics import Metrics
from scriberrd.api.rooms import LiveStatus, Rooms
from scriberrd.api.socket import listening
from scriberrd.config import Live
from scriberrd.errors import StoreError
from scriberrd.files.folders import Folders
from scriberrd.files.mounts import Mounting
from scriberrd.inbox import watch
from scriberrd.inbox.arrivals import Arrivals
from scriberrd.inbox.intake import Intake
from scriberrd.library.library import NAME as LIBRARY
from scriberrd.library.library import Library
from scriberrd.life import Life
from scriberrd.logs import Event
from scriberrd.model import InboxStatus, JobState
from scriberrd.output import departures
from scriberrd.output.publisher import Publisher
from scriberrd.queue import backup, jobs, lock, queries, restore, retention
from scriberrd.queue.store import probe
from scriberrd.work.breaker import STORE
from scriberrd.work.capacity import fit
from scriberrd.work.dispatch import Dispatcher
from scriberrd.work.disposing import Disposals
from scriberrd.work.machine import look
from scriberrd.work.means import Means
from scriberrd.work.preflight import Preflights
from scriberrd.work.pulls import Pulls
from scriberrd.work.rendering import Renderings
from scriberrd.work.resolved import summary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
    from contextvars import Context

    from scriberrd.config import Config, Inbox
    from scriberrd.queue.store import Store
    from scriberrd.signals import Orders
    from scriberrd.work.breaker import Breaker
    from scriberrd.work.machine import Machine

    Until = Callable[[Rooms], Awaitable[None]]
    Statuses = Mapping[str, watch.Watching]

log = logging.getLogger(__name__)

SWITCH = 0.0005  # seconds that a thread computes before another gets to; 5 ms is Python's own


async def run(config: Config, reload: Callable[[], Config], until: Until | None = None) -> None:
    """Be the daemon, until SIGTERM, SIGINT, or SIGHUP of a terminal that is closed.

    Any other SIGHUP has it work by the configuration as it is then, if that can be used.

    Args:
        config: to begin with.
        reload: reads the configuration again.
        until: it stops by itself when this returns.

    Raises:
        AlreadyRunning: another daemon uses the state directory.
        ConfigError: the state directory or the socket can't be made.
        StoreError: the database can't be used.
    """
    told, machine = signals.listen(), look()
    # Folders and clients may be many. What uses select(), which ends at 1024, opens few of them.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # An answer passes through several threads, and may wait so long before each of them.
    sys.setswitchinterval(SWITCH)
    await signals.warn(config)
    # After an unclean stop all of the database is read, and that takes its time.
    systemd.notify("EXTEND_TIMEOUT_USEC=900000000")
    with (
        lock.held(Path(config.daemon.state_dir)) as state,
        restore.opened(state, now=time.time()) as store,
    ):
        known = await retention.known(store, time)
        limit = config.retry.interruptions
        leaving = functools.partial(departures.on_failure, config)
        for job in await store.run(jobs.recover, time.time(), limit=limit, leaving=leaving):
            with logs.about(**job.subject):
                what = "was running when the last daemon ended: %s"
                log.info(what, job.state, extra={"event": Event.JOB_RELEASED})
                if job.state is JobState.FAILED:
                    extra = {"event": Event.JOB_FAILED}
                    log.warning("failed: %s: %s", job.error_code, job.error_detail, extra=extra)
        try:
            live = Live(fit(config, machine))
            log.info("in force: %s", summary(live.config, machine, os.environ))
            again = functools.partial(_read, reload, machine)
            await _serve(live, store, told, again, known, machine, until)
        except BaseExceptionGroup:
            if store.failure is None:
                raise
            raise store.failure from None  # the cause of all the others
    log.info("stopped", extra={"event": Event.STOPPED})


async def _serve(
    live: Live,
    store: Store,
    told: Orders,
    reload: Callable[[], Config],
    known: retention.Known,
    machine: Machine,
    until: Until | None,
) -> None:
    folders = Folders()
    library = Library(Path(live.config.daemon.state_dir), live, time)
    publisher, preflights = Publisher(store, folders, time), Preflights(live)
    means = Means(live, store, time, folders, publisher, library, preflights)
    dispatcher, intake = Dispatcher(means, machine), Intake(live, store, time, folders)
    breaker = dispatcher.admission.breaker
    pulls, disposals = Pulls(live, store, time, breaker.try_now), Disposals(means)
    keeper = retention.Keeper(
        store,
        live,
        time,
        known,
        delete=functools.partial(_delete, means),
        is_due=publisher.is_due,
        forget=library.prune,
    )
    statuses = defaultdict[str, watch.Watching](watch.Watching)

    def look() -> None:
        for watching in statuses.values():
            watching.looking.set()

    with (
        closing(library),
        listening(Path(live.config.daemon.socket), live.config.api.group) as listener,
        closing(Mounting(look)),
    ):
        rooms = _rooms(means, intake, dispatcher, pulls, statuses, told, keeper)
        metrics = Metrics(rooms, (await store.read(queries.stream)).newest)
        life = Life(live, store, time, dispatcher, statuses)
        tasks: dict[Hashable, asyncio.Task[None]] = {}
        async with (
            serving(application(rooms, metrics), listener, guard(live, listener.path)),
            asyncio.TaskGroup() as group,
        ):
            drained, telling = group.create_task(dispatcher.run()), group.create_task(life.tell())
            work = intake.sweep(), pulls.run(), disposals.run(), systemd.keep_alive(life.well)
            beside = [group.create_task(one) for one in work]
            if until is not None:
                beside.append(group.create_task(_stop_after(until(rooms), told)))
            _keep(group, tasks, _wanted(rooms, metrics, breaker, statuses, keeper))
            beside.append(group.create_task(life.begin(listener.path, listener.lost)))

            async def again(asked: Context) -> list[str]:
                # Only what is logged is by the one who asked: tasks that begin here are not.
                reading = signals.read_again(live.config, reload, told)
                with life.reloading():
                    live.config, warnings = await asyncio.create_task(reading, context=asked)
                dispatcher.reconfigure()
                disposals.try_now()
                listener.share(live.config.api.group)
                _keep(group, tasks, _wanted(rooms, metrics, breaker, statuses, keeper))
                extra = {"event": Event.RELOADED}
                what = "reloaded the configuration: %s"
                asked.run(log.info, what, live.config.file, extra=extra)
                await asyncio.create_task(_tell_of_reload(store), context=asked)
                return warnings

            await told.obey(again)
            # Take in nothing more, let the runs end; the API answers to the last.
            _keep(group, tasks, {})
            for task in beside:
                task.cancel()
            dispatcher.stop()
            log.info("%s", life.stopping())
            await systemd.stopping(drained)
            telling.cancel()


async def _tell_of_reload(store: Store) -> None:
    try:
        await store.run(jobs.reloaded, now=time.time())
    except StoreError as error:  # the configuration is in force all the same
        log.warning("can't record that the configuration was reloaded: %s", error)


def _read(reload: Callable[[], Config], machine: Machine) -> Config:
    return fit(reload(), machine)


async def _stop_after(end: Awaitable[None], told: Orders) -> None:
    await end
    told.stop()


def _rooms(
    means: Means,
    intake: Intake,
    dispatcher: Dispatcher,
    pulls: Pulls,
    statuses: Statuses,
    told: Orders,
    keeper: retention.Keeper,
) -> Rooms:
    renderings = Renderings(means)

    def try_now() -> None:
        means.preflights.try_now()
        dispatcher.admission.breaker.try_now()

    return Rooms(
        *means,
        intake=intake,
        stopping=lambda: dispatcher.stopping,
        try_now=try_now,
        reload=told.reload,
        purge=keeper.once,
        pull=pulls.pull,
        render=renderings.render,
        name=renderings.name,
        watching=statuses.__getitem__,
        status=lambda: LiveStatus(
            workers=tuple(slot.status() for slot in dispatcher.slots),
            outages=dispatcher.admission.breaker.outages(),
            inboxes=tuple(
                InboxStatus(
                    name=one.name,
                    state=statuses[one.name].state,
                    reason=statuses[one.name].reason or None,
                    settling=statuses[one.name].changing,
                    mounts=statuses[one.name].mounts,
                )
                for one in means.live.config.inboxes
            ),
        ),
    )


def _keep(
    group: asyncio.TaskGroup,
    tasks: dict[Hashable, asyncio.Task[None]],
    wanted: Mapping[Hashable, Callable[[], Coroutine[None, None, None]]],
) -> None:
    """Let the wanted tasks run and no others; those that run already are not disturbed."""
    for key in tasks.keys() - wanted.keys():
        tasks.pop(key).cancel()
    for key in wanted.keys() - tasks.keys():
        tasks[key] = group.create_task(wanted[key]())


def _wanted(
    rooms: Rooms,
    metrics: Metrics,
    breaker: Breaker,
    statuses: dict[str, watch.Watching],
    keeper: retention.Keeper,
) -> Mapping[Hashable, Callable[[], Coroutine[None, None, None]]]:
    """What goes on beside the work, by what of the configuration it depends on."""
    config, store = rooms.live.config, rooms.store
    daemon, state = config.daemon, Path(config.daemon.state_dir)
    # The words of a recording that is deleted are not made again.
    spared = config.retention.uploads > 0 or any(one.after == "delete" for one in config.inboxes)
    copies = functools.partial(
        backup.keep,
        store,
        state / restore.DATABASE,
        state / restore.BACKUPS,
        every=daemon.backup,
        count=daemon.backups,
        clock=time,
        library=state / LIBRARY if spared else None,
    )
    return (
        {
            "end": functools.partial(_end_with, store),
            "retention": functools.partial(keeper.run),
            ("backup", daemon.backup, daemon.backups, spared): copies,
            ("preflights", daemon, tuple(config.profiles.items())): (
                functools.partial(rooms.preflights.watch)
            ),
        }
        | {
            ("metrics", at): functools.partial(scraping.serve, at, metrics)
            for at in filter(None, [config.api.metrics])
        }
        | {
            (one, daemon.rescan): functools.partial(_watch, rooms, one, statuses, breaker)
            for one in config.inboxes
        }
    )


async def _delete(means: Means, inbox: Inbox, aged: jobs.Aged, before: float) -> bool:
    """Delete a published file for its age, and what the library has of it."""
    if aged.sha256 is not None and not await means.library.forget([aged.sha256]):
        return False  # it is tried again, as long as the file tells of it
    return await means.publisher.delete(inbox, aged, before)


async def _end_with(store: Store) -> None:
    """End the daemon when the database can't be trusted; the next one checks it."""
    await store.failed.wait()
    if store.failure is not None:
        raise store.failure


async def _watch(
    rooms: Rooms, one: Inbox, statuses: dict[str, watch.Watching], breaker: Breaker
) -> None:
    arrivals = Arrivals(rooms.live, rooms.store, time, rooms.folders, rooms.intake)

    async def take(found: list[watch.Found]) -> list[Exception | None]:
        try:
            if breaker.out(STORE):
                await rooms.store.run(probe)  # before a big file is read for nothing
            outcomes = await arrivals.take(one, found)
        except StoreError as error:
            breaker.trip(STORE, "store_failed", str(error))
            raise  # the watch tries again
        breaker.close([STORE])
        return outcomes

    watching = statuses[one.name] = watch.Watching()
    await watch.watch(
        one,
        queue=arrivals,
        take=take,
        rescan=rooms.live.config.daemon.rescan,
        clock=time,
        folders=rooms.folders,
        watching=watching,
    )
