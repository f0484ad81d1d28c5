"""`scriberrctl explain`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.blockers import Blockers
from scriberrctl.session import Session, json_option, pass_session

if TYPE_CHECKING:
    from scriberrctl.shapes import Explanation


@click.command("explain")
@click.argument("path", metavar="PATH")
@json_option
@pass_session
def command(session: Session, path: str) -> None:
    """Tell what becomes of a file, and why: it waits, is ignored, is queued ..."""
    asked = os.path.abspath(path)
    found = session.client.explain(asked)
    session.say(found, lambda: _text(found, asked, session))
    if found["state"] == "queued" and found["job"] is not None:
        for reason in Blockers(session.client, [session.client.job(found["job"])]).news():
            click.echo(reason, err=True)


def _text(found: Explanation, asked: str, session: Session) -> str:
    lines = [f"{found['state']}: {found['text']}"]
    if found["state"] in {"outside", "missing"}:  # perhaps not the file that was meant
        lines.append(f"file   {asked}")
    if found["state"] == "outside":
        names = [one["name"] for one in session.client.inboxes()["inboxes"]]
        lines.append(f"inboxes  {', '.join(names)}")
    if found["inbox"] is not None:
        lines.append(f"inbox  {found['inbox']}")
    if found["rule"] is not None:
        where = f" ({found['where']})" if found["where"] else " (built in)"
        lines.append(f"rule   {found['rule']}{where}")
    if found["job"] is not None:
        lines.append(f"job    {found['job']}")
    if found["of"] is not None:
        lines.append(f"copy   of the recording of job {found['of']}")
    return "\n".join(map(render.plain, lines))
