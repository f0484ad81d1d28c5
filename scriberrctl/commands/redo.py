"""`scriberrctl redo`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.selection import selecting
from scriberrctl.session import set_option

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("redo")
@click.option("--profile", metavar="NAME", help="Profile to use. [default: the job's]")
@click.option(
    "--stage",
    type=click.Choice(["diarize", "merge"]),
    help="Keep the words: tell the speakers apart again, or only write the transcripts again.",
)
@set_option
@selecting("completed", "failed", "canceled", asks=True)
def command(session: Session, *, chosen: Chosen, **options: str | tuple[str, ...] | None) -> None:
    """Transcribe ended jobs again, with the current settings.

    The old transcripts stay until the new ones replace them.
    """
    chosen.agree("redo")
    session.each(chosen.ids, partial(session.client.redo, **options), render.outcome)
