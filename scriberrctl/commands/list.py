"""`scriberrctl list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import click

from scriberrctl import render
from scriberrctl.session import Session, json_option, pass_session
from scriberrctl.shapes import JobState

if TYPE_CHECKING:
    from scriberrctl.shapes import Job

PAGE = 1000  # jobs


@click.command("list")
@click.option(
    "--state",
    multiple=True,
    type=click.Choice(get_args(JobState)),
    help="Only jobs in this state. [repeatable]",
)
@click.option("--inbox", metavar="NAME", help="Only jobs of this inbox.")
@click.option("--text", metavar="TEXT", help="Only jobs with this in their path.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most."
)
@click.option("--all", "all_", is_flag=True, help="All of them, whatever the limit.")
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
    found: list[Job] = []
    before: int | None = None
    while all_ or len(found) < limit:
        page = session.client.jobs(
            states=state,
            inbox=inbox,
            text=text,
            before=before,
            limit=PAGE if all_ else min(limit - len(found), PAGE),
        )
        found += page["jobs"]
        before = page["next"]
        if before is None:
            break
    if session.json:
        for job in found:
            session.say(job, str)
        return
    click.echo(render.jobs(found))
    if before is not None:
        click.echo("there are more: see --limit and --all", err=True)
