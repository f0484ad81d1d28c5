"""`scriberrctl priority`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.selection import selecting
from scriberrctl.session import PRIORITY

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("priority")
@click.argument("priority", type=PRIORITY)
@selecting("queued")
def command(session: Session, *, chosen: Chosen, priority: str) -> None:
    """Have queued jobs claimed earlier or later. They keep this priority for all later runs."""
    session.each(
        chosen.ids,
        lambda id_: session.client.prioritize(id_, priority),
        lambda job: f"{render.outcome(job)}; priority {job['priority']}",
    )
