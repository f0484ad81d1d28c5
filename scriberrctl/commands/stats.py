"""`scriberrctl stats`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from scriberrctl import render
from scriberrctl.durations import DURATION
from scriberrctl.session import Session, json_option, pass_session


@click.command("stats")
@click.option(
    "--since",
    type=DURATION,
    metavar="DURATION",
    help="Only what has ended in this time, such as 7d. [default: all that is not forgotten]",
)
@click.option(
    "--by",
    type=click.Choice(["day", "user", "inbox"]),
    default="day",
    show_default=True,
    help="What the lines are.",
)
@json_option
@pass_session
def command(session: Session, since: float | None, by: str) -> None:
    """Show what was done, and how fast.

    Jobs count by the time when they ended; those that are forgotten don't.
    """
    then = None
    if since is not None:
        then = (datetime.now(UTC) - timedelta(seconds=since)).isoformat()
    stats = session.client.stats(since=then, by=by)
    session.say(stats, lambda: render.stats(stats))
