"""`scriberrctl resume`."""

from __future__ import annotations

import click

from scriberrctl import completing, render
from scriberrctl.session import Session, json_option, pass_session


@click.command("resume")
@click.option("--inbox", metavar="NAME", help="Only this inbox.", shell_complete=completing.inboxes)
@click.option("--worker", metavar="NAME", help="Only this worker pool.")
@json_option
@pass_session
def command(session: Session, *, inbox: str | None, worker: str | None) -> None:
    """Resume claiming. Without an option, resume everything."""
    pauses = session.client.resume(inbox=inbox, worker=worker)
    what = [f"{kind} {name}" for kind, name in (("inbox", inbox), ("worker", worker)) if name]
    resumed = f"resumed: {' and '.join(what) or 'everything'}"
    left = f"\n{render.pauses(pauses)}" if pauses else ""
    session.say({"pauses": pauses}, lambda: render.plain(resumed) + left)
