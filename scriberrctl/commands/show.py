"""`scriberrctl show`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("show")
@click.argument("id_", metavar="ID", type=JOB_ID)
@json_option
@pass_session
def command(session: Session, id_: int) -> None:
    """Show a job in detail, with its runs."""
    job = session.client.job(id_)
    executions = session.client.executions(id_)
    session.say({**job, "executions": executions}, lambda: render.details(job, executions))
