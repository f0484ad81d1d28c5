"""`scriberrctl status`."""

from __future__ import annotations

import os
import sys
import time

import click

from scriberrctl import render
from scriberrctl.session import Session, json_option, pass_session

INTERVAL = 1.0  # seconds


@click.command("status")
@click.option("--watch", is_flag=True, help="Keep it up to date until interrupted.")
@json_option
@pass_session
def command(session: Session, *, watch: bool = False) -> None:
    """Show the daemon, its workers and inboxes, outages, pauses and running jobs."""
    if not watch:
        status = session.client.status()
        session.say(status, lambda: render.status(status))
    elif sys.stdout.isatty() and not session.json:
        _redraw(session)
    else:
        _log(session)


def _redraw(session: Session) -> None:
    up = ""
    while True:
        # A line that wraps would count as two when the cursor moves back up.
        width = os.get_terminal_size().columns
        lines = [line[:width] for line in render.status(session.client.status()).splitlines()]
        click.echo(up + "\n".join(lines))
        up = f"\x1b[{len(lines)}A\x1b[J"
        time.sleep(INTERVAL)


def _log(session: Session) -> None:
    before = ""
    while True:
        status = session.client.status()
        summary = render.summary(status)
        if summary != before:
            session.say(status, lambda: summary)  # noqa: B023 - called at once
            sys.stdout.flush()
        before = summary
        time.sleep(INTERVAL)
