"""The composition root: every room is made here, handed what it needs, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import resource
import signal
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from scriberrd import __version__, logs, systemd
from scriberrd.api.app import application
from scriberrd.api.connections import serving
from scriberrd.api.rooms import LiveStatus, Rooms
from scriberrd.api.socket import listening
from scriberrd.config import Live, missing
from scriberrd.errors import AlreadyRunning, ConfigError, StoreError
from scriberrd.files.folders import Folders, start
from scriberrd.inbox import watch
from scriberrd.inbox.intake import Intake
from scriberrd.library.library import Library
from scriberrd.model import InboxStatus, JobState
from scriberrd.output.publication import Publisher
from scriberrd.queue import backup, jobs, restore, retention
from scriberrd.queue.store import probe
from scriberrd.work.breaker import STORE
from scriberrd.work.dispatch import Dispatcher
from scriberrd.work.stages import Means

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterator, Mapping

    from scriberrd.config import Config, Inbox
    from scriberrd.queue.store import Store
    from scriberrd.work.breaker import Breaker

    Orders = asyncio.Queue[Literal["reload", "stop"]]
    Statuses = Mapping[str, watch.InboxStatus]

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at the orders while a configuration is read
AT_START = ("state_dir", "socket")  # what a running daemon can't change, of [daemon]


async def run(config: Config, reload: Callable[[], Config]) -> None:
    """Be the daemon, until SIGTERM, SIGINT, or SIGHUP of a terminal that is closed.

    Any other SIGHUP has it work by the configuration as it is then, if that can be used.

    Args:
        config: to begin with.
        reload: reads the configuration again.

    Raises:
        AlreadyRunning: another daemon uses the state directory.
        ConfigError: the state directory or the socket can't be made.
        StoreError: the database can't be used.
    """
    orders = _listen_to_signals()
    # Folders and clients may be many. What uses select(), which ends at 1024, opens few of them.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    await _warn(config)
    # After an unclean stop all of the database is read, and that takes its time.
    systemd.notify("EXTEND_TIMEOUT_USEC=900000000")
    with (
        locked(Path(config.daemon.state_dir)) as state,
        restore.opened(state, now=time.time()) as store,
    ):
        known = await retention.known(store, time)
        limit = config.retry.interruptions
        for job in await store.run(jobs.recover, time.time(), limit=limit):
            log.info("job %d was running when the last daemon ended: %s", job.id, job.state)
            if job.state is JobState.FAILED:
                log.warning("job %d failed: %s: %s", job.id, job.error_code, job.error_detail)
        try:
            await _serve(Live(config), store, orders, reload, known)
        except BaseExceptionGroup:
            if store.failure is None:
                raise
            raise store.failure from None  # the cause of all the others
    log.info("stopped")


@contextlib.contextmanager
def locked(state: Path) -> Iterator[Path]:
    """Hold the state directory: nobody else touches database, leases and socket meanwhile.

    Raises:
        AlreadyRunning: another daemon uses it.
        ConfigError: there can be no such directory.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError([f"daemon.state_dir: {state}: {error.strerror}"]) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another daemon uses {state}: stop it, or set daemon.state_dir"
            ) from None
        yield state
    finally:
        os.close(descriptor)


def _listen_to_signals() -> Orders:
    """What the daemon is told to do, as it is told."""
    loop, terminal = asyncio.get_running_loop(), os.isatty(0)
    orders: Orders = asyncio.Queue()

    def hear(number: int) -> None:
        if number == signal.SIGHUP and os.isatty(0) == terminal:  # that of a closed one is none
            if orders.empty():
                orders.put_nowait("reload")
            return
        log.info("stopping: got %s", signal.Signals(number).name)
        orders.put_nowait("stop")
        # Who asks again does not want to wait: the next signal kills, and recovery does the rest.
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(number, hear, number)
    return orders


async def _serve(
    live: Live,
    store: Store,
    orders: Orders,
    reload: Callable[[], Config],
    known: retention.Known,
) -> None:
    folders = Folders()
    publisher = Publisher(store, folders, time)
    library = Library(Path(live.config.daemon.state_dir), live, time)
    dispatcher = Dispatcher(Means(live, store, time, folders, publisher, library))
    breaker = dispatcher.admission.breaker
    intake = Intake(live, store, time, folders)
    with closing(library), listening(Path(live.config.daemon.socket)) as listener:
        statuses = defaultdict[str, watch.InboxStatus](watch.InboxStatus)
        rooms = _rooms(live, store, folders, publisher, library, intake, dispatcher, statuses)
        tasks: dict[Hashable, asyncio.Task[None]] = {}
        async with serving(application(rooms), listener), asyncio.TaskGroup() as group:
            drained = group.create_task(dispatcher.run())
            sweeping = group.create_task(intake.sweep())
            _keep(group, tasks, _wanted(rooms, breaker, statuses, known))
            names = ", ".join(one.name for one in live.config.inboxes) or "none"
            log.info("scriberrd %s is ready, inboxes: %s", __version__, names)
            systemd.notify("READY=1")
            while await orders.get() == "reload":
                systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
                status = "The new configuration can't be used: see the journal"
                try:
                    live.config = await _read_again(live.config, reload, orders)
                except ConfigError as error:
                    for problem in error.problems:
                        log.error("keeping the old configuration: %s", problem)  # noqa: TRY400
                except Exception:
                    log.exception("keeping the old configuration")
                else:
                    status = ""
                    dispatcher.reconfigure()
                    _keep(group, tasks, _wanted(rooms, breaker, statuses, known))
                    log.info("reloaded the configuration: %s", live.config.file)
                systemd.notify(f"READY=1\nSTATUS={status}")
            # Take in nothing more, let the runs end; the API answers to the last.
            _keep(group, tasks, {})
            sweeping.cancel()
            dispatcher.stop()
            await systemd.stopping(drained)


def _rooms(
    live: Live,
    store: Store,
    folders: Folders,
    publisher: Publisher,
    library: Library,
    intake: Intake,
    dispatcher: Dispatcher,
    statuses: Statuses,
) -> Rooms:
    return Rooms(
        store=store,
        folders=folders,
        publisher=publisher,
        library=library,
        clock=time,
        live=live,
        intake=intake,
        stopping=lambda: dispatcher.stopping,
        try_now=dispatcher.admission.breaker.try_now,
        status=lambda: LiveStatus(
            workers=tuple(slot.status() for slot in dispatcher.slots),
            outages=dispatcher.admission.breaker.outages(),
            inboxes=tuple(
                InboxStatus(
                    name=one.name,
                    state=statuses[one.name].state,
                    reason=statuses[one.name].reason or None,
                )
                for one in live.config.inboxes
            ),
        ),
    )


async def _read_again(config: Config, reload: Callable[[], Config], orders: Orders) -> Config:
    """The configuration as it is now, with what a running daemon can't change as it was.

    Raises:
        ConfigError: it can't be used; or it does not answer, and another order came.
    """
    reading = start(reload)
    while not (await asyncio.wait({reading}, timeout=LOOK))[0]:
        if not orders.empty():
            raise ConfigError(["can't read it: its file system does not answer"])
    new = reading.result()
    fixed = {key: getattr(config.daemon, key) for key in AT_START}
    for key, value in fixed.items():
        if getattr(new.daemon, key) != value:
            log.warning("daemon.%s stays %s until the daemon is restarted", key, value)
    logs.start(new.daemon.log_level)
    await _warn(new)
    return msgspec.structs.replace(new, daemon=msgspec.structs.replace(new.daemon, **fixed))


async def _warn(config: Config) -> None:
    for one in await start(missing, config):
        log.warning("%s", one)


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
    rooms: Rooms, breaker: Breaker, statuses: dict[str, watch.InboxStatus], known: retention.Known
) -> Mapping[Hashable, Callable[[], Coroutine[None, None, None]]]:
    """What goes on beside the work, by what of the configuration it depends on."""
    config, store = rooms.live.config, rooms.store
    daemon, state = config.daemon, Path(config.daemon.state_dir)
    copies = functools.partial(
        backup.keep,
        store,
        state / restore.DATABASE,
        state / restore.BACKUPS,
        every=daemon.backup,
        count=daemon.backups,
        clock=time,
    )
    return {
        "end": functools.partial(_end_with, store),
        "alive": functools.partial(systemd.keep_alive, lambda: _alive(store)),
        "retention": functools.partial(
            retention.keep,
            store,
            functools.partial(_delete, rooms),
            rooms.library.prune,
            rooms.live,
            time,
            known,
        ),
        ("backup", daemon.backup, daemon.backups): copies,
    } | {
        (one, daemon.rescan): functools.partial(_watch, rooms, one, statuses, breaker)
        for one in config.inboxes
    }


async def _delete(rooms: Rooms, inbox: Inbox, aged: jobs.Aged, before: float) -> bool:
    """Delete a published file for its age, and what the library has of it."""
    gone = await rooms.publisher.delete(inbox, aged, before)
    if gone and aged.sha256 is not None:
        await rooms.library.forget(aged.sha256)
    return gone


async def _end_with(store: Store) -> None:
    """End the daemon when the database can't be trusted; the next one checks it."""
    await store.failed.wait()
    if store.failure is not None:
        raise store.failure


async def _watch(
    rooms: Rooms, one: Inbox, statuses: dict[str, watch.InboxStatus], breaker: Breaker
) -> None:
    intake, rescan = rooms.intake, rooms.live.config.daemon.rescan

    async def accept(found: watch.Found) -> None:
        try:
            if breaker.out(STORE):
                await rooms.store.run(probe)  # before a big file is read for nothing
            await intake.accept(one, found.path, identity=found.identity)
        except StoreError as error:
            breaker.trip(STORE, "store_failed", str(error))
            raise  # the watch tries again
        breaker.close([STORE])

    status = statuses[one.name] = watch.InboxStatus()
    unknown = functools.partial(intake.unknown, one)
    await watch.watch(
        one,
        unknown=unknown,
        accept=accept,
        rescan=rescan,
        clock=time,
        folders=rooms.folders,
        status=status,
    )


async def _alive(store: Store) -> bool:
    """Whether the store answers; a full or read-only disk is no reason to restart."""
    try:
        await store.run(probe)
    except StoreError as error:
        log.warning("can't write to the database: %s", error)
    return True
