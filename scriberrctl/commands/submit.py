"""`scriberrctl submit`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.errors import ApiError, Unreadable
from scriberrctl.holds import Holds
from scriberrctl.session import Session, json_option, pass_session
from scriberrctl.waiting import until_ended

if TYPE_CHECKING:
    from scriberrctl.shapes import Job


@click.command("submit")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--inbox", metavar="NAME", help="The inbox to put copies into. [default: the first]")
@click.option("--profile", metavar="NAME", help="How to transcribe. [default: the inbox's]")
@click.option(
    "--priority",
    type=click.Choice(["urgent", "high", "normal", "low"]),
    help="Which goes first. [default: the profile's]",
)
@click.option("--wait", is_flag=True, help="Wait until all of them have ended.")
@json_option
@pass_session
def command(
    session: Session,
    *,
    files: tuple[str, ...],
    inbox: str | None,
    profile: str | None,
    priority: str | None,
    wait: bool,
) -> None:
    """Queue recordings: where they lie, if that is in an inbox, or else as a copy there."""
    submitted = []
    for file in files:
        try:
            job, new = _submit(session, file, inbox=inbox, profile=profile, priority=priority)
        except (ApiError, Unreadable) as error:
            session.complain(f"{render.plain(file)}: {error}", error.exit_code)
            continue
        submitted.append(job)
        if not (wait and session.json):
            note = "" if new else "known already: "
            session.say(job, lambda: note + render.outcome(job))  # noqa: B023 - called at once
    if wait:
        until_ended(session, [job["id"] for job in submitted])
        return
    for reason in Holds(session.client, submitted).news():
        click.echo(reason, err=True)


def _submit(session: Session, file: str, **options: str | None) -> tuple[Job, bool]:
    name = os.fsencode(file).decode("utf-8", "backslashreplace")
    if name == file:  # JSON can't carry any other path
        try:  # without a look: in an inbox, perhaps only the daemon may read it
            return session.client.submit(os.path.abspath(file), **options)
        except ApiError as error:
            if error.code != "path_outside_inbox":
                raise
    with _opened(file) as recording:
        return session.client.upload(os.path.basename(name), recording, **options)


def _opened(file: str) -> IO[bytes]:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise Unreadable(f"it can't be read, and lies in no inbox: {error.strerror}") from error
