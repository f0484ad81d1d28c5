"""Notifications to the service manager: ready, stopping, alive. Without systemd, none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

import sdnotify

from scriberrd.logs import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

EXTENSION = 60.0  # seconds that each request for more time gives a stop
LONGEST = 10.0  # seconds for `alive`: it may wait half of that for another process's lock
PATIENCE = 0.5  # seconds that a manager with a full queue may block the event loop


def listens() -> bool:
    """Whether there is a service manager that wants to know."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(message: str) -> None:
    """Send a message to the service manager; sd_notify(3) lists them.

    Only ASCII is sent: sdnotify encodes as Latin-1, so that a message with a file name might not be
    sent at all.
    """
    if not listens():
        return
    try:
        # When nobody listens, sdnotify drops its socket without closing it.
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            notifier = sdnotify.SystemdNotifier(debug=True)
        with notifier.socket:
            notifier.socket.settimeout(PATIENCE)
            notifier.notify(message.encode("ascii", "replace").decode())
    except OSError as error:
        log.warning("can't notify the service manager: %s", error)


async def stopping(drained: asyncio.Task[Any]) -> None:
    """Announce the stop, and ask for more time until the task is done."""
    notify("STOPPING=1")
    while not drained.done():
        notify(f"EXTEND_TIMEOUT_USEC={EXTENSION * 1e6:.0f}")
        await asyncio.wait([drained], timeout=EXTENSION / 4)


async def keep_alive(alive: Callable[[], Awaitable[bool]]) -> None:
    """Notify the watchdog as often as it wants, while `alive` returns True.

    A daemon whose event loop or `alive` hangs is restarted.
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / 2
    while interval > 0:
        well = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(interval, LONGEST)):
                well = await alive()
        if well:
            notify("WATCHDOG=1")
        else:
            extra = {"event": Event.UNHEALTHY}
            log.error("the daemon does not work: not notifying the watchdog", extra=extra)
        await asyncio.sleep(interval)
