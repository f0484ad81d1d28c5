"""`scriberrctl remove`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("remove")
@click.argument("ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...]) -> None:
    """Remove ended jobs from the list. Recordings and transcripts stay."""
    session.each(ids, session.client.remove, render.removed)
