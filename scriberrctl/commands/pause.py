"""`scriberrctl pause`."""

from __future__ import annotations

import click

from scriberrctl import completing, render
from scriberrctl.session import Session, json_option, pass_session


@click.command("pause")
@click.option("--inbox", metavar="NAME", help="Only this inbox.", shell_complete=completing.inboxes)
@click.option("--worker", metavar="NAME", help="Only this worker pool.")
@click.option("--reason", metavar="TEXT", help="Reason, shown in the status.")
@json_option
@pass_session
def command(session: Session, *, inbox: str | None, worker: str | None, reason: str | None) -> None:
    """Pause claiming. Running jobs finish. Without an option, pause everything."""
    pauses = session.client.pause(inbox=inbox, worker=worker, reason=reason)
    session.say({"pauses": pauses}, lambda: render.pauses(pauses))
