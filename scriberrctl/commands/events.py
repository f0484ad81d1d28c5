"""`scriberrctl events`."""

from __future__ import annotations

import sys

import click

from scriberrctl import completing, render
from scriberrctl.following import Following
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("events")
@click.option(
    "--after",
    metavar="EVENT",
    help="Start after this event: its cursor, or its id. [default: now]",
)
@click.option(
    "--job",
    type=JOB_ID,
    metavar="ID",
    help="Only events of this job.",
    shell_complete=completing.jobs(),
)
@json_option
@pass_session
def command(session: Session, after: str | None, job: int | None) -> None:
    """Follow events until interrupted. They go on when the daemon is started again."""
    for event in Following(session.client).events(after, job):
        if event is not None:
            session.say(event, lambda: render.event(event))  # noqa: B023 - called at once
            sys.stdout.flush()
