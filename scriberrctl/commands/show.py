"""`scriberrctl show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from scriberrctl import render
from scriberrctl.selection import selecting

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("show")
@selecting()
def command(session: Session, *, chosen: Chosen) -> None:
    """Show jobs in detail, with their runs."""
    client, end = session.client, "\n" * (len(chosen.ids) > 1)

    def known(id_: int) -> Any:  # a job with one more field
        return {**client.job(id_), "executions": client.executions(id_)}

    def text(job: Any) -> str:
        return render.details(job, job["executions"]) + end

    session.each(chosen.ids, known, text)
