"""`scriberrctl wait`."""

from __future__ import annotations

import time

import click

from scriberrctl.session import JOB_ID, Session, json_option, pass_session
from scriberrctl.waiting import until_ended


@click.command("wait")
@click.argument("ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after this time."
)
@json_option
@pass_session
def command(session: Session, ids: tuple[int, ...], timeout: float | None) -> None:
    """Wait until jobs have ended."""
    deadline = None if timeout is None else time.monotonic() + timeout
    until_ended(session, ids, deadline=deadline)
