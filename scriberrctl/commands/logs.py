"""`scriberrctl logs`."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial

import click

from scriberrctl import completing, render
from scriberrctl.following import Following
from scriberrctl.session import JOB_ID, Session, json_option, pass_session
from scriberrctl.shapes import ENDED


@click.command("logs")
@click.argument("id_", metavar="ID", type=JOB_ID, shell_complete=completing.jobs())
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@json_option
@pass_session
def command(session: Session, id_: int, follow: bool) -> None:
    """Tell the story of a job: when it was queued, started, put back and why, completed.

    Following outlives a restart of the daemon.
    """
    if not follow:
        _tell(session, id_, 0)
        return
    following, told = Following(session.client), 0
    with closing(following.events(job=id_)) as events:  # before the lines: none is missed
        for _ in events:
            job = following.ask(lambda: session.client.job(id_))
            told = following.ask(partial(_tell, session, id_, told))
            if job["state"] in ENDED:
                return


def _tell(session: Session, id_: int, told: int) -> int:
    """Print the lines after the first `told`; gives how many there are."""
    lines = session.client.logs(id_)
    for line in lines[told:]:
        at, _, text = line.partition(" ")
        session.say({"at": at, "text": text}, lambda: render.line(at, text))  # noqa: B023
    sys.stdout.flush()
    return len(lines)
