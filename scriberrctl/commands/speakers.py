"""`scriberrctl speakers`."""

from __future__ import annotations

import click

from scriberrctl import completing, render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.group("speakers")
def command() -> None:
    """Name those who speak in a transcript; `show` lists them."""


@command.command("name")
@click.argument("id_", metavar="ID", type=JOB_ID, shell_complete=completing.jobs("completed"))
@click.argument("label")
@click.argument("name", required=False)
@click.option("--clear", is_flag=True, help="Take the name away instead.")
@json_option
@pass_session
def name(session: Session, id_: int, label: str, name: str | None, clear: bool) -> None:
    """Give the speaker LABEL of a completed job a NAME, in all its files.

    Files that somebody has edited stay as they are.
    """
    if clear == (name is not None) or name == "":
        raise click.UsageError("Give either a NAME or --clear.")
    job = session.client.name(id_, label, name or "")
    session.say(job, lambda: render.speakers(job))
