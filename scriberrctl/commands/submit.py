"""`scriberrctl submit`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.blockers import Blockers
from scriberrctl.errors import ApiError, Unreadable
from scriberrctl.session import Session, json_option, pass_session, set_option
from scriberrctl.waiting import until_ended

if TYPE_CHECKING:
    from scriberrctl.shapes import Job


@click.command("submit")
@click.argument("files", metavar="FILE|-...", nargs=-1, required=True)
@click.option("--name", metavar="NAME", help="File name for what comes from stdin (-).")
@click.option("--inbox", metavar="NAME", help="Inbox for copies. [default: the first]")
@click.option("--profile", metavar="NAME", help="Profile to use. [default: the inbox's]")
@click.option(
    "--priority",
    type=click.Choice(["urgent", "high", "normal", "low"]),
    help="Priority in the queue. [default: the profile's]",
)
@set_option
@click.option("--wait", is_flag=True, help="Wait until all have ended.")
@json_option
@pass_session
def command(
    session: Session,
    /,
    *,
    files: tuple[str, ...],
    name: str | None,
    wait: bool,
    **options: str | tuple[str, ...] | None,
) -> None:
    """Queue recordings. A file outside of all inboxes is copied into one.

    With - instead of a FILE, the recording is read from stdin.
    """
    if files.count("-") != (name is not None):
        raise click.UsageError(
            "- and --name go together, once: --name is the name of what comes from stdin"
        )
    submitted = []
    for file in files:
        try:
            job, new = _submit(session, file, name, **options)
        except (ApiError, Unreadable) as error:
            session.complain(f"{render.plain(file)}: {error}", error.exit_code)
            continue
        submitted.append(job)
        if not (wait and session.json):
            note = "" if new else "already known: "
            session.say(job, lambda: note + render.outcome(job))  # noqa: B023 - called at once
    if wait:
        until_ended(session, [job["id"] for job in submitted])
        return
    for reason in Blockers(session.client, submitted).news():
        click.echo(reason, err=True)


def _submit(
    session: Session, file: str, given: str | None, **options: str | tuple[str, ...] | None
) -> tuple[Job, bool]:
    if given is not None and file == "-":
        # Unbuffered: what has come is sent, or the daemon would take us for dead.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as pipe:
            return session.client.upload(given, pipe, **options)
    name = os.fsencode(file).decode("utf-8", "backslashreplace")
    if name == file:  # JSON can't carry any other path
        try:  # without opening it: in an inbox, perhaps only the daemon may read it
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
        raise Unreadable(f"not in an inbox, and can't be read: {error.strerror}") from error
