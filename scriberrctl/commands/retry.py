"""`scriberrctl retry`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("retry")
@click.argument("ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...]) -> None:
    """Queue failed or canceled jobs again, or let waiting ones go at once."""
    session.each(ids, session.client.retry, render.outcome)
