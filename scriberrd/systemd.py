"""What the service manager is told: ready, stopping, still alive. Without systemd, nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

import sdnotify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

EXTENSION = 60.0  # seconds that a stop may take from the latest request for more on
PATIENCE = 0.5  # seconds that a manager whose queue is full may hold up the event loop


def notify(message: str) -> None:
    """Tell the service manager; sd_notify(3) lists the messages.

    Only ASCII gets through: sdnotify encodes as Latin-1, so a message with a file name might send
    nothing at all.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return
    try:
        # sdnotify drops its socket without closing it when nobody listens.
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            notifier = sdnotify.SystemdNotifier(debug=True)
        with notifier.socket:
            notifier.socket.settimeout(PATIENCE)
            notifier.notify(message.encode("ascii", "replace").decode())
    except OSError as error:
        log.warning("the service manager can't be told: %s", error)


async def stopping(drained: asyncio.Task[Any]) -> None:
    """Tell that the daemon stops, and ask for more time for it until the task is done."""
    notify("STOPPING=1")
    while not drained.done():
        notify(f"EXTEND_TIMEOUT_USEC={EXTENSION * 1e6:.0f}")
        await asyncio.wait([drained], timeout=EXTENSION / 4)


async def keep_alive(alive: Callable[[], Awaitable[bool]]) -> None:
    """Tell the watchdog that the daemon lives, as often as it wants, while `alive` says so.

    The event loop has to come around to it, and `alive` has to answer: a daemon that hangs is
    restarted.
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / 2
    while interval > 0:
        if await alive():
            notify("WATCHDOG=1")
        else:
            log.error("the watchdog is not told, because the daemon does not work")
        await asyncio.sleep(interval)
