"""`scriberrctl retry`."""

from __future__ import annotations

import click

from scriberrctl import paging, render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("retry")
@click.argument("ids", metavar="[ID...]", type=JOB_ID, nargs=-1)
@click.option("--all", "all_", is_flag=True, help="All failed jobs.")
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...], *, all_: bool) -> None:
    """Queue failed or canceled jobs again, or let waiting ones go at once."""
    if all_ == bool(ids):
        raise click.UsageError("name jobs, or else give --all")
    if all_:
        # All pages before the first retry: that takes a job off the list.
        failed, _ = paging.jobs(session.client, None, states=("failed",))
        ids = tuple(sorted(job["id"] for job in failed))
        if not ids:
            click.echo("no job has failed", err=True)
    session.each(ids, session.client.retry, render.outcome)
