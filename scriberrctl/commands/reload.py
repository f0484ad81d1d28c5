"""`scriberrctl reload`."""

from __future__ import annotations

import click

from scriberrctl import render
from scriberrctl.session import Session, json_option, pass_session


@click.command("reload")
@json_option
@pass_session
def command(session: Session) -> None:
    """Have the daemon work by its configuration as it is now.

    It returns when that is so. A configuration that can't be used is refused, with its problems,
    and the daemon keeps the one that it has.
    """
    reloaded = session.client.reload()
    for warning in () if session.json else reloaded["warnings"]:
        session.note(render.plain(warning))
    session.say(reloaded, lambda: "reloaded the configuration")
