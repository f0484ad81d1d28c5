"""`scriberrctl remove`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.selection import selecting

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("remove")
@click.option("--purge", is_flag=True, help="Delete the transcripts too, unless edited.")
@selecting("completed", "failed", "canceled", asks=True)
def command(session: Session, *, chosen: Chosen, purge: bool) -> None:
    """Remove ended jobs from the list. Recordings and transcripts stay."""
    chosen.agree("delete the transcripts of" if purge else "remove", always=purge)
    text = render.purged if purge else render.removed
    session.each(chosen.ids, partial(session.client.remove, purge=purge), text)
