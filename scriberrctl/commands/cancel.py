"""`scriberrctl cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.selection import selecting

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("cancel")
@selecting("queued", "processing", asks=True)
def command(session: Session, *, chosen: Chosen) -> None:
    """Cancel jobs. A running job ends as soon as its worker stops."""
    chosen.agree("cancel")
    session.each(chosen.ids, session.client.cancel, render.outcome)
