"""`scriberrctl submit`."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from scriberrctl import completing, render, walking
from scriberrctl.blockers import Blockers
from scriberrctl.errors import ApiError, Unreadable
from scriberrctl.session import PRIORITY, Session, json_option, pass_session, set_option
from scriberrctl.waiting import until_ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scriberrctl.shapes import Job

LEFT_OUT = {"ignored", "ours", "passed"}  # states of a file that its inbox does not take


@click.command("submit")
@click.argument("files", metavar="FILE|FOLDER|-...", nargs=-1, required=True)
@click.option("--name", metavar="NAME", help="File name for what comes from stdin (-).")
@click.option(
    "--inbox",
    metavar="NAME",
    help="Inbox for copies. [default: the first]",
    shell_complete=completing.inboxes,
)
@click.option("--profile", metavar="NAME", help="Profile to use. [default: the inbox's]")
@click.option(
    "--priority",
    type=PRIORITY,
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

    Of a FOLDER all recordings are, as an inbox would find them. With - instead, the recording is
    read from stdin.
    """
    if files.count("-") != (name is not None):
        raise click.UsageError(
            "- and --name go together, once: --name is the name of what comes from stdin"
        )
    submitted = []
    for file in _files(session, files, options["inbox"]):
        try:
            job, new = _submit(session, file, name, **options)
        except (ApiError, Unreadable) as error:
            _tell(session, file, error)
            continue
        submitted.append(job)
        if not (wait and session.json):
            note = "" if new else "already known: "
            session.say(job, lambda: note + render.outcome(job))  # noqa: B023 - called at once
        if not new and job["state"] == "completed":
            again = f"scriberrctl redo {job['id']}"
            session.note(f"job {job['id']} has transcribed this recording; to do it anew: {again}")
    if wait:
        until_ended(session, [job["id"] for job in submitted])
        return
    for reason in Blockers(session.client, submitted).news():
        click.echo(reason, err=True)


def _files(
    session: Session, given: Iterable[str], inbox: str | tuple[str, ...] | None
) -> Iterator[str]:
    """What is given, with the recordings in folders instead of those."""
    for file in given:
        if not os.path.isdir(file):
            yield file
            continue
        known = session.client.inboxes()
        named = [one for one in known["inboxes"] if one["name"] == inbox] or known["inboxes"]
        extensions = {extension for one in named for extension in one["extensions"]}
        ignored = known["ignored_folders"]
        taken = left = 0
        for found in walking.files(file, extensions, ignored, partial(_tell, session)):
            state, name = _state(session, found), os.path.basename(found)
            if state == "outside" and walking.matches(name, known["ignored_files"]):
                state = "ignored"
            if state in LEFT_OUT:
                left += 1
            elif state is not None:
                taken += 1
                yield found
        if left:
            what = f"{left} {'file' if left == 1 else 'files'} left out, which an inbox leaves out"
            session.note(f"{render.plain(file)}: {what}, too: submit one by its name to have it")
        if not taken:
            session.complain(f"{render.plain(file)}: no recordings in it")


def _state(session: Session, file: str) -> str | None:
    """What the daemon says of a file; None: it can't say so, which is told."""
    if _readable(file) != file:
        return "outside"
    try:
        return session.client.explain(os.path.abspath(file))["state"]
    except ApiError as error:
        _tell(session, file, error)
        return None


def _tell(session: Session, file: str, error: ApiError | Unreadable) -> None:
    session.complain(f"{render.plain(file)}: {error}", error.exit_code)


def _submit(
    session: Session, file: str, given: str | None, **options: str | tuple[str, ...] | None
) -> tuple[Job, bool]:
    if given is not None and file == "-":
        # Unbuffered: what has come is sent, or the daemon would take us for dead.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as pipe:
            return session.client.upload(given, pipe, **options)
    name = _readable(file)
    if name == file:  # JSON can't carry any other path
        try:  # without opening it: in an inbox, perhaps only the daemon may read it
            return session.client.submit(os.path.abspath(file), **options)
        except ApiError as error:
            if error.code != "path_outside_inbox":
                raise
    for sidecar in (f"{file}.toml", os.path.join(os.path.dirname(file), ".scriberr.toml")):
        if os.path.lexists(sidecar):
            session.note(f"{render.plain(sidecar)} is not sent along: use --set")
    with _opened(file) as recording:
        return session.client.upload(os.path.basename(name), recording, **options)


def _readable(file: str) -> str:
    """A path as JSON can carry it."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def _opened(file: str) -> IO[bytes]:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise Unreadable(f"not in an inbox, and can't be read: {error.strerror}") from error
