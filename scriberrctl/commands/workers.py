"""`scriberrctl workers`."""

from __future__ import annotations

import sys

import click

from scriberrctl import render
from scriberrctl.session import Session, json_option, pass_session


@click.command("workers")
@json_option
@pass_session
def command(session: Session) -> None:
    """List the workers: their devices and models, what they do now, and how fast."""
    status = session.client.status()
    if session.json:
        for worker in status["workers"]:
            session.say(worker, str)
    else:
        click.echo(render.workers(status, render.Screen.of(sys.stdout)))
