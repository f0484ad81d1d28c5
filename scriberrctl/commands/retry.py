"""`scriberrctl retry`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.selection import selecting
from scriberrctl.session import set_option

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("retry")
@set_option
@selecting("failed", of_range=("queued", "failed", "canceled"))
def command(session: Session, *, chosen: Chosen, **options: tuple[str, ...]) -> None:
    """Queue failed or canceled jobs again. A job that waits for its next try is tried now."""
    session.each(chosen.ids, partial(session.client.retry, **options), render.outcome)
