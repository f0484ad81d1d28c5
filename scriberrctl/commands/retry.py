"""`scriberrctl retry`."""

from __future__ import annotations

from functools import partial

import click

from scriberrctl import paging, render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session, set_option


@click.command("retry")
@click.argument("ids", metavar="[ID...]", type=JOB_ID, nargs=-1)
@click.option("--all", "all_", is_flag=True, help="All failed jobs.")
@set_option
@json_option
@pass_session
def command(
    session: Session, /, ids: tuple[int, ...], *, all_: bool, **options: tuple[str, ...]
) -> None:
    """Queue failed or canceled jobs again. A job that waits for its next try is tried now."""
    if all_ == bool(ids):
        raise click.UsageError("give job IDs, or --all")
    if all_:
        # Read all pages before the first retry, which takes a job off the list.
        failed, _ = paging.jobs(session.client, None, states=("failed",))
        ids = tuple(sorted(job["id"] for job in failed))
        if not ids:
            click.echo("no failed jobs", err=True)
    session.each(ids, partial(session.client.retry, **options), render.outcome)
