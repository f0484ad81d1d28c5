"""The metrics at a TCP address, for those who collect them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from scriberrd.api.app import metrics_alone

if TYPE_CHECKING:
    from scriberrd.api.metrics import Metrics

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
AGAIN = 30.0  # seconds until an address that can't be had is tried again
FAREWELL = 1.0  # seconds that an answer in progress is given


async def serve(address: str, metrics: Metrics) -> None:
    """Answer `GET /metrics` there, until it is cancelled.

    Args:
        address: "HOST:PORT"; without a host it is of this machine alone.
        metrics: what is answered.
    """
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(metrics_alone(metrics), access_log=None, shutdown_timeout=FAREWELL)
    await runner.setup()
    try:
        while not await _listens(runner, host.strip("[]") or LOOPBACK, int(port)):  # noqa: ASYNC110
            await asyncio.sleep(AGAIN)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _listens(runner: web.AppRunner, host: str, port: int) -> bool:
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError, UnicodeError) as error:  # the last two: of what can't be one
        log.error(  # noqa: TRY400 - expected, no traceback
            "api.metrics: can't listen at port %d of %s: %s; free it, or set another",
            port,
            host,
            getattr(error, "strerror", None) or error,
        )
        return False
    log.info("metrics are at http://%s:%d/metrics", f"[{host}]" if ":" in host else host, port)
    return True
