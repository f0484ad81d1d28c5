"""`scriberrctl remove`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.errors import ApiError
from scriberrctl.session import Session, json_option, pass_session


@click.command("remove")
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...]) -> None:
    """Forget ended jobs; recordings and transcripts stay."""
    for id_ in ids:
        try:
            job = session.client.remove(id_)
        except ApiError as error:
            session.refuse(error)
        else:
            session.say(job, lambda: render.removed(job))  # noqa: B023 - called at once
