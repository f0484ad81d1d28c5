"""`scriberrctl status`."""

from __future__ import annotations

import sys

import click

from scriberrctl import render
from scriberrctl.errors import NoDaemon
from scriberrctl.session import Session, json_option, pass_session

EXITS = {"warning": 1, "critical": 2}  # as monitoring plugins have it


@click.command("status")
@click.option("--watch", is_flag=True, help="Keep it up to date until interrupted.")
@click.option("--check", is_flag=True, help="One line and an exit status for monitoring.")
@json_option
@pass_session
def command(session: Session, *, watch: bool = False, check: bool = False) -> None:
    """Show how the daemon is, what is wrong and how to mend it, its work, queue and inboxes."""
    if watch and check:
        raise click.UsageError("--watch and --check do not go together")
    if watch:
        from scriberrctl import watching  # noqa: PLC0415 - the status alone needs no threads

        drawn = render.Screen.of(sys.stdout).draws and not session.json
        (watching.redraw if drawn else watching.log)(session)
    elif check:
        _check(session)
    else:
        status = session.client.status()
        session.say(status, lambda: render.status(status, render.Screen.of(sys.stdout)))


def _check(session: Session) -> None:
    try:
        status = session.client.status()
    except NoDaemon as error:
        session.say({"level": "unknown", "problems": []}, lambda: render.UNKNOWN)
        session.exit_code = error.exit_code
        return
    found = render.problems(status)
    level = found[0].level if found else "ok"
    told = {"level": level, "problems": [problem._asdict() for problem in found]}
    session.say(told, lambda: render.check(status))
    session.exit_code = EXITS.get(level, 0)
