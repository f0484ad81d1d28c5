"""`scriberrctl rescan`."""

from __future__ import annotations

import click

from scriberrctl import completing, render
from scriberrctl.session import Session, json_option, pass_session


@click.command("rescan")
@click.argument("inbox", required=False, shell_complete=completing.inboxes)
@json_option
@pass_session
def command(session: Session, inbox: str | None) -> None:
    """Scan INBOX now, or all inboxes, and look all their files up again."""
    for one in session.client.rescan(inbox):
        if inbox in {None, one["name"]}:
            session.say(one, lambda: f"inbox {render.plain(one['name'])}: is scanned")  # noqa: B023 - called at once
