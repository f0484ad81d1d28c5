"""`scriberrctl cancel`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("cancel")
@click.argument("ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...]) -> None:
    """Cancel jobs. A running job ends as soon as its worker stops."""
    session.each(ids, session.client.cancel, render.outcome)
