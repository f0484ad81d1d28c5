"""The composition root: every room is made here, handed what it needs, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd import __version__, backup, inbox, jobs, rescue, retention, systemd
from scriberrd.api.app import application
from scriberrd.api.rooms import LiveStatus, Rooms
from scriberrd.api.socket import listening, serving
from scriberrd.dispatch import Dispatcher
from scriberrd.errors import AlreadyRunning, ConfigError, StoreError
from scriberrd.intake import Intake
from scriberrd.model import InboxStatus, JobState
from scriberrd.store import probe

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from scriberrd.config import Config, Inbox
    from scriberrd.gate import Gate
    from scriberrd.store import Store

log = logging.getLogger(__name__)


async def run(config: Config) -> None:
    """Be the daemon, until SIGTERM, SIGINT, or SIGHUP of a terminal that is closed.

    Raises:
        AlreadyRunning: another daemon holds the state directory.
        ConfigError: the state directory or the socket can't be made.
        StoreError: the database can't be used.
    """
    stop = asyncio.Event()
    _listen_to_signals(stop)
    # After an unclean stop all of the database is read, and that takes its time.
    systemd.notify("EXTEND_TIMEOUT_USEC=900000000")
    with (
        locked(Path(config.daemon.state_dir)) as state,
        rescue.opened(state, now=time.time()) as store,
    ):
        limit = config.retry.interruptions
        for job in await store.run(jobs.recover, time.time(), limit=limit):
            log.info("job %d was held by an earlier daemon: %s", job.id, job.state)
            if job.state is JobState.FAILED:
                log.warning("job %d failed: %s: %s", job.id, job.error_code, job.error_detail)
        try:
            await _serve(config, store, stop)
        except BaseExceptionGroup:
            if store.failure is None:
                raise
            raise store.failure from None  # the cause of all the others
    log.info("stopped")


@contextlib.contextmanager
def locked(state: Path) -> Iterator[Path]:
    """Hold the state directory: nobody else touches database, leases and socket meanwhile.

    Raises:
        AlreadyRunning: another daemon holds it.
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
                f"another daemon holds {state}: stop it, or set daemon.state_dir"
            ) from None
        yield state
    finally:
        os.close(descriptor)


def _listen_to_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def hear(number: int) -> None:
        log.info("stopping, because of %s", signal.Signals(number).name)
        stop.set()
        # Who asks again does not want to wait: the next signal kills, and recovery does the rest.
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(number, hear, number)


async def _serve(config: Config, store: Store, stop: asyncio.Event) -> None:
    with contextlib.closing(Intake(config, store, time)) as intake:
        intake.sweep()
        await _serve_with(intake, config, store, stop)


async def _serve_with(intake: Intake, config: Config, store: Store, stop: asyncio.Event) -> None:
    dispatcher = Dispatcher(config, store, time)
    statuses = {one.name: inbox.InboxStatus() for one in config.inboxes}
    rooms = Rooms(
        store=store,
        clock=time,
        config=config,
        intake=intake,
        stopping=stop.is_set,
        live=lambda: LiveStatus(
            workers=tuple(slot.status() for slot in dispatcher.slots),
            outages=dispatcher.gate.outages(),
            inboxes=tuple(
                InboxStatus(name=name, state=status.state, reason=status.reason or None)
                for name, status in statuses.items()
            ),
        ),
    )
    with listening(Path(config.daemon.socket)) as server:
        async with serving(application(rooms), server), asyncio.TaskGroup() as group:
            background = [
                group.create_task(
                    _watch(intake, one, config.daemon.rescan, statuses[one.name], dispatcher.gate)
                )
                for one in config.inboxes
            ]
            background += [group.create_task(task) for task in _upkeep(config, store)]
            background.append(group.create_task(systemd.keep_alive(lambda: _alive(store))))
            group.create_task(_drain(dispatcher, background, stop))
            group.create_task(dispatcher.run())
            names = ", ".join(statuses) or "none"
            log.info("scriberrd %s is ready, inboxes: %s", __version__, names)
            systemd.notify("READY=1")


def _upkeep(config: Config, store: Store) -> Iterator[Coroutine[None, None, None]]:
    """What keeps the database well."""
    daemon, state = config.daemon, Path(config.daemon.state_dir)
    yield _end_with(store)
    yield retention.keep(store, config.retention, time)
    yield backup.keep(
        store,
        state / rescue.DATABASE,
        state / rescue.BACKUPS,
        every=daemon.backup,
        count=daemon.backups,
        clock=time,
    )


async def _end_with(store: Store) -> None:
    """End the daemon when the database can't be trusted; the next one checks it."""
    await store.failed.wait()
    if store.failure is not None:
        raise store.failure


async def _watch(
    intake: Intake, one: Inbox, rescan: float, status: inbox.InboxStatus, gate: Gate
) -> None:
    async def accept(found: inbox.Found) -> None:
        try:
            await intake.accept(one, found.path, identity=found.identity)
        except StoreError as error:
            gate.store_failed(str(error))
            raise  # the watch tries again

    unknown = functools.partial(intake.unknown, one)
    await inbox.watch(one, unknown=unknown, accept=accept, rescan=rescan, clock=time, status=status)


async def _drain(
    dispatcher: Dispatcher, background: list[asyncio.Task[None]], stop: asyncio.Event
) -> None:
    """When asked to stop: take in nothing more, let the runs end; the API answers to the last."""
    await stop.wait()
    systemd.notify("STOPPING=1")
    for task in background:
        task.cancel()
    dispatcher.stop()


async def _alive(store: Store) -> bool:
    """Whether the store answers; a full or read-only disk is no reason to restart."""
    try:
        await store.run(probe)
    except StoreError as error:
        log.warning("the database can't be written: %s", error)
    return True
