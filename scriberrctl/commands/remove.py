"""`scriberrctl remove`."""

from __future__ import annotations

from functools import partial

import click

from scriberrctl import render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("remove")
@click.argument("ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@click.option("--purge", is_flag=True, help="Delete the transcripts too, unless edited.")
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...], purge: bool) -> None:
    """Remove ended jobs from the list. Recordings and transcripts stay."""
    session.each(
        ids, partial(session.client.remove, purge=purge), render.purged if purge else render.removed
    )
