"""What keeps jobs from going on, as people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from api_server import LIVE, NOON
from test_client_cli import ctl

from scriberrd.breaker import Outage

if TYPE_CHECKING:
    from api_server import Server

MISSING = Outage(
    part="model",
    name="base on cpu",
    code="model_missing",
    detail="no\x1b such folder",
    since=NOON,
    next_try=NOON + 60,
)
BASE = (
    "model base on cpu: the model is not there and could not be downloaded: no\\x1b such folder"
    " (next try 2023-11-14 22:14:20); advice: see model, auto_download"
)


def broken(server: Server, *outages: Outage) -> None:
    server.rooms.live = lambda: msgspec.structs.replace(LIVE, outages=outages)


async def test_an_outage_has_advice(server: Server) -> None:
    unwritable = Outage(
        part="output", name="default", code="output_unwritable", detail="", since=0, next_try=None
    )
    broken(server, MISSING, unwritable)
    shown = (await ctl(server, "status")).out
    assert f"\noutage   {BASE}\n" in shown
    assert "\noutage   output default: the output folder can't be written (being tried)\n" in shown
