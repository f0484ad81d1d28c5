"""The metrics at a TCP address, for those who collect them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from aiohttp import web

from scriberrd.api.app import metrics_alone

if TYPE_CHECKING:
    from scriberrd.api.metrics import Metrics

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
AGAIN = 30.0  # seconds until an address that can't be had is tried again
MOST = 16  # connections; anybody may come, and the work needs descriptors too
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
    server = cast("web.Server", runner.server)  # which it has from now on
    listening = None
    try:
        host = host.strip("[]") or LOOPBACK
        while not (listening := await _listen(server, host, int(port))):  # noqa: ASYNC110
            await asyncio.sleep(AGAIN)
        await asyncio.Event().wait()
    finally:
        if listening is not None:
            listening.close()
        await runner.cleanup()


async def _listen(server: web.Server, host: str, port: int) -> asyncio.Server | None:
    def connect() -> asyncio.BaseProtocol:  # who came first makes room
        for oldest in server.connections[: 1 - MOST]:
            if oldest.transport is not None:
                oldest.transport.abort()
        return server()

    try:
        listening = await asyncio.get_running_loop().create_server(
            connect, host, port, backlog=MOST
        )
    except (OSError, OverflowError, UnicodeError) as error:  # the last two: of what can't be one
        log.error(  # noqa: TRY400 - expected, no traceback
            "api.metrics: can't listen at port %d of %s: %s; free it, or set another",
            port,
            host,
            getattr(error, "strerror", None) or error,
        )
        return None
    log.info("metrics are at http://%s:%d/metrics", f"[{host}]" if ":" in host else host, port)
    return listening
