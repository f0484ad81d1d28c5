"""`scriberrctl redo`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.errors import ApiError
from scriberrctl.session import Session, json_option, pass_session


@click.command("redo")
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
@click.option("--profile", metavar="NAME", help="How. [default: the profile of each, as it is now]")
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...], profile: str | None) -> None:
    """Transcribe the recordings of ended jobs anew, with the settings of today.

    The old transcripts stay until the new ones are published over them.
    """
    for id_ in ids:
        try:
            job = session.client.redo(id_, profile=profile)
        except ApiError as error:
            session.refuse(error)
        else:
            session.say(job, lambda: render.outcome(job))  # noqa: B023 - called at once
