"""`scriberrctl cancel`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.errors import ApiError
from scriberrctl.session import Session, json_option, pass_session


@click.command("cancel")
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...]) -> None:
    """End jobs: at once, or when their worker has let go of them."""
    for id_ in ids:
        try:
            job = session.client.cancel(id_)
        except ApiError as error:
            session.refuse(error)
        else:
            session.say(job, lambda: render.outcome(job))  # noqa: B023 - called at once
