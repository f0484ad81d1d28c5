"""`scriberrctl wait`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from scriberrctl.durations import DURATION
from scriberrctl.selection import selecting
from scriberrctl.waiting import until_ended

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("wait")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Give up after this time: 10m.")
@selecting("queued", "processing", of_range=())
def command(session: Session, *, chosen: Chosen, timeout: float | None) -> None:
    """Wait until jobs have ended."""
    deadline = None if timeout is None else time.monotonic() + timeout
    until_ended(session, chosen.ids, deadline=deadline)
