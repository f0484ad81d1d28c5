"""What the daemon is told by signals: to stop, or to read its configuration again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Literal

import msgspec

from scriberrd import logs
from scriberrd.config import missing
from scriberrd.errors import ConfigError
from scriberrd.files.folders import start
from scriberrd.logs import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.config import Config

    Orders = asyncio.Queue[Literal["reload", "stop"]]

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at the orders while a configuration is read
AT_START = ("state_dir", "socket")  # what a running daemon can't change, of [daemon]


def listen() -> Orders:
    """What the daemon is told from now on, as it is told."""
    loop, terminal = asyncio.get_running_loop(), os.isatty(0)
    orders: Orders = asyncio.Queue()

    def hear(number: int) -> None:
        if number == signal.SIGHUP and os.isatty(0) == terminal:  # that of a closed one is none
            if orders.empty():
                orders.put_nowait("reload")
            return
        log.info("stopping: got %s", signal.Signals(number).name, extra={"event": Event.STOPPING})
        orders.put_nowait("stop")
        # Who asks again does not want to wait: the next signal kills, and recovery does the rest.
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(number, hear, number)
    return orders


async def read_again(config: Config, reload: Callable[[], Config], orders: Orders) -> Config:
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
    logs.set_level(new.daemon.log_level)
    await warn(new)
    return msgspec.structs.replace(new, daemon=msgspec.structs.replace(new.daemon, **fixed))


async def warn(config: Config) -> None:
    """Log what the configuration names and can't be used as it is."""
    for one in await start(missing, config):
        log.warning("%s", one)
