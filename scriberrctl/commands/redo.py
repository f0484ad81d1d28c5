"""`scriberrctl redo`."""

from __future__ import annotations

from functools import partial

import click

from scriberrctl import render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("redo")
@click.argument("ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@click.option("--profile", metavar="NAME", help="How. [default: the profile of each, as it is now]")
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...], profile: str | None) -> None:
    """Transcribe the recordings of ended jobs anew, with the settings of today.

    The old transcripts stay until the new ones are published over them.
    """
    session.each(ids, partial(session.client.redo, profile=profile), render.outcome)
