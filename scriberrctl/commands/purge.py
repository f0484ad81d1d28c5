"""`scriberrctl purge`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.session import Session, json_option, pass_session


@click.command("purge")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@json_option
@pass_session
def command(session: Session, *, dry_run: bool) -> None:
    """Delete now what is too old for [retention] of the configuration.

    The daemon does so each hour by itself. One pass deletes a tenth of each kind at most, or 100.
    """
    passed = session.client.purge(dry_run=dry_run)
    session.say(passed, lambda: render.passed(passed))
