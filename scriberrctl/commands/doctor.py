"""`scriberrctl doctor`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from scriberrctl.errors import ClientError
from scriberrctl.session import Session, json_option, pass_session


@click.command("doctor")
@click.option("-c", "--config", metavar="FILE", help="The daemon's configuration.")
@click.option("--as", "user", metavar="USER", help="Look as this user may; for root.")
@json_option
@pass_session
def command(session: Session, config: str | None, user: str | None) -> None:
    """Look at everything that a recording needs, and say what to do; the daemon may be down.

    This is `scriberrd doctor`: it looks at the machine that it runs on.
    """
    program = Path(sys.executable).with_name("scriberrd")
    if not os.access(program, os.X_OK):
        raise ClientError("the daemon is not installed here: run `scriberrd doctor` where it is")
    options = {"--config": config, "--as": user}
    given = [text for option, value in options.items() if value for text in (option, value)]
    json = ["--json"] if session.json else []
    os.execv(program, ["scriberrd", "doctor", *given, *json])  # noqa: S606 - without a shell, too
