"""`scriberrctl transcript`."""

from __future__ import annotations

import sys

import click

from scriberrctl import completing, render
from scriberrctl.session import JOB_ID, Session, json_option, pass_session


@click.command("transcript")
@click.argument("id_", metavar="ID", type=JOB_ID, shell_complete=completing.jobs("completed"))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["txt", "json", "srt", "vtt", "rttm"]),
    help="Output format. [default: txt; with --json: json]",
)
@click.option("--partial", is_flag=True, help="Of a job that goes on: what there is so far.")
@json_option
@pass_session
def command(session: Session, id_: int, format_: str | None, partial: bool) -> None:
    """Print the transcript of a completed job."""
    format_ = format_ or ("json" if session.json else "txt")
    text = session.client.transcript(id_, format_, partial=partial)
    if text.partial:
        note = f"note: job {id_} is not completed: this is what is transcribed so far"
        click.echo(note, err=True)
    if text.edited:
        note = f"note: the {format_} file of job {id_} was edited after it was published"
        click.echo(f"{note}; see `scriberrctl show {id_}`", err=True)
    if format_ != "json":  # which has them
        for warning in render.warnings(session.client.job(id_)):
            click.echo(warning, err=True)
    if format_ == "rttm" and not text.content and not text.partial:
        click.echo(f"note: no speakers were told apart in job {id_}", err=True)
    sys.stdout.buffer.write(text.content)
    sys.stdout.buffer.flush()
