"""What the daemon is told: to stop, or to work by its configuration as it is now.

Signals tell it, and the API; all of it is carried out in one place, one after the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextvars import copy_context
from typing import TYPE_CHECKING

import msgspec

from scriberrd import logs, systemd
from scriberrd.config import missing
from scriberrd.errors import ConfigError, ReloadFailed, ScriberrdError, ShuttingDown
from scriberrd.files.folders import start
from scriberrd.logs import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from scriberrd.config import Config

    Done = asyncio.Future[list[str]]  # of an order to reload: what is to be warned of
    Order = tuple[Done, Context]  # and who gave it, for the log

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at the orders while a configuration is read
AT_START = ("state_dir", "socket")  # what a running daemon can't change, of [daemon]


class Orders:
    """What it is told, in order."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Order | None] = asyncio.Queue()  # None: stop
        self._ended = False

    @property
    def waiting(self) -> bool:
        """Whether anything is to be carried out after what is."""
        return not self._queue.empty()

    def stop(self) -> None:
        """Have it stop."""
        self._queue.put_nowait(None)

    def reload(self) -> Done:
        """Have it read its configuration again.

        The future gets the warnings; or ReloadFailed, why that can't be used, and the daemon keeps
        the old one; or ShuttingDown.
        """
        done: Done = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda one: one.cancelled() or one.exception())  # is logged, too
        self._queue.put_nowait((done, copy_context()))
        if self._ended:
            self._refuse()
        return done

    async def obey(self, reload: Callable[[Context], Awaitable[list[str]]]) -> None:
        """Carry out what it is told, until it is to stop.

        `reload` gets the context that it was ordered in: its log tells who did.
        """
        while (order := await self._queue.get()) is not None:
            systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            done, asked = order
            try:
                warnings = await reload(asked)
            except ScriberrdError as error:
                _settle(done, error)
            except Exception as error:  # who asks is told, and the work goes on
                log.exception("the new configuration is only partly in force: reload again")
                _settle(done, ScriberrdError(str(error)))
            else:
                if not done.done():
                    done.set_result(warnings)
            systemd.notify("READY=1")
        self._ended = True
        self._refuse()

    def _refuse(self) -> None:
        while not self._queue.empty():
            if (order := self._queue.get_nowait()) is not None:
                _settle(order[0], ShuttingDown("the daemon is stopping"))


def _settle(done: Done, error: ScriberrdError) -> None:
    if not done.done():
        done.set_exception(error)


def listen() -> Orders:
    """What the daemon is told from now on, as it is told."""
    loop, terminal = asyncio.get_running_loop(), os.isatty(0)
    orders = Orders()

    def hear(number: int) -> None:
        if number == signal.SIGHUP and os.isatty(0) == terminal:  # that of a closed one is none
            if not orders.waiting:
                orders.reload()
            return
        extra = {"event": Event.STOPPING}
        log.info("stopping: got %s", signal.Signals(number).name, extra=extra)
        orders.stop()
        # Who asks again does not want to wait: the next signal kills, and recovery does the rest.
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(number, hear, number)
    return orders


async def read_again(
    config: Config, reload: Callable[[], Config], orders: Orders
) -> tuple[Config, list[str]]:
    """The configuration as it is now, with what a running daemon can't change as it was.

    Returns:
        It, and what is to be warned of.

    Raises:
        ReloadFailed: it can't be used; or it does not answer, and another order came.
    """
    try:
        new = await _read(reload, orders)
    except ReloadFailed as error:
        for problem in error.problems:
            extra = {"event": Event.RELOAD_REFUSED}
            log.error("keeping the old configuration: %s", problem, extra=extra)  # noqa: TRY400
        raise
    except Exception as error:
        extra = {"event": Event.RELOAD_REFUSED}
        log.exception("keeping the old configuration", extra=extra)
        raise ScriberrdError(str(error)) from error
    fixed = {key: getattr(config.daemon, key) for key in AT_START}
    warnings = [
        f"daemon.{key} stays {value} until the daemon is restarted"
        for key, value in fixed.items()
        if getattr(new.daemon, key) != value
    ]
    for one in warnings:
        log.warning("%s", one)
    logs.set_level(new.daemon.log_level)
    warnings += await warn(new)
    daemon = msgspec.structs.replace(new.daemon, **fixed)
    return msgspec.structs.replace(new, daemon=daemon), warnings


async def _read(reload: Callable[[], Config], orders: Orders) -> Config:
    reading = start(reload)
    while not (await asyncio.wait({reading}, timeout=LOOK))[0]:
        if orders.waiting:
            raise ReloadFailed(["can't read it: its file system does not answer"])
    try:
        return reading.result()
    except ConfigError as error:
        raise ReloadFailed(error.problems) from error


async def warn(config: Config) -> list[str]:
    """Log what the configuration names and can't be used as it is; gives it, too."""
    warnings = await start(missing, config)
    for one in warnings:
        log.warning("%s", one)
    return warnings
