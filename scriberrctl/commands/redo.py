"""`scriberrctl redo`."""

from __future__ import annotations

from functools import partial

import click

from scriberrctl import render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session, set_option


@click.command("redo")
@click.argument("ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@click.option("--profile", metavar="NAME", help="Profile to use. [default: the job's]")
@click.option(
    "--stage",
    type=click.Choice(["diarize", "merge"]),
    help="Keep the words: tell the speakers apart again, or only write the transcripts again.",
)
@set_option
@json_option
@pass_session
def command(
    session: Session, /, ids: tuple[int, ...], **options: str | tuple[str, ...] | None
) -> None:
    """Transcribe ended jobs again, with the current settings.

    The old transcripts stay until the new ones replace them.
    """
    session.each(ids, partial(session.client.redo, **options), render.outcome)
