"""`scriberrctl list`."""

from __future__ import annotations

from typing import get_args

import click

from scriberrctl import paging, render
from scriberrctl.session import Session, json_option, pass_session
from scriberrctl.shapes import JobState


@click.command("list")
@click.option(
    "--state",
    multiple=True,
    type=click.Choice(get_args(JobState)),
    help="Only jobs in this state. [repeatable]",
)
@click.option("--inbox", metavar="NAME", help="Only jobs of this inbox.")
@click.option("--text", metavar="TEXT", help="Only jobs whose path contains this.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Show at most this many.",
)
@click.option("--all", "all_", is_flag=True, help="Show all, whatever the limit.")
@json_option
@pass_session
def command(
    session: Session,
    *,
    state: tuple[str, ...],
    inbox: str | None,
    text: str | None,
    limit: int,
    all_: bool,
) -> None:
    """List jobs, newest first."""
    most = None if all_ else limit
    found, more = paging.jobs(session.client, most, states=state, inbox=inbox, text=text)
    if session.json:
        for job in found:
            session.say(job, str)
        return
    click.echo(render.jobs(found))
    if more:
        click.echo("there are more jobs: use --limit or --all", err=True)
