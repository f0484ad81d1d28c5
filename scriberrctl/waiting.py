"""Wait for jobs by listening to what happens, not by asking again and again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.errors import NoDaemon
from scriberrctl.shapes import ENDED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scriberrctl.client import Client
    from scriberrctl.session import Session
    from scriberrctl.shapes import Job


def until_ended(session: Session, ids: Collection[int], *, deadline: float | None = None) -> None:
    """Show the progress of jobs on stderr until all have ended, then each job on stdout."""
    live, line = sys.stderr.isatty(), ""
    for job in follow(session.client, ids, deadline=deadline):
        if job["state"] in ENDED:
            click.echo("\r\x1b[K" if live else "", nl=False, err=True)
            session.say(job, lambda: render.outcome(job))  # noqa: B023 - called at once
            session.exit_code = max(session.exit_code, job["state"] != "completed")
        elif (now := render.bar(job)) != line:
            line = now
            click.echo(f"\r\x1b[K{line}" if live else line, nl=not live, err=True)


def follow(client: Client, ids: Collection[int], *, deadline: float | None = None) -> Iterator[Job]:
    """Each job as it is and whenever something happens to it, until all have ended."""
    waiting = set(ids)
    with client.events(deadline=deadline) as events:  # before the first look: nothing is missed
        for id_ in dict.fromkeys(ids):
            job = client.job(id_)
            waiting -= {id_} if job["state"] in ENDED else set()
            yield job
        while waiting:
            event = next(events, None)
            if event is None:
                raise NoDaemon("the daemon stopped; its jobs go on when it runs again")
            if event["job"] in waiting:
                job = client.job(event["job"])
                waiting -= {job["id"]} if job["state"] in ENDED else set()
                yield job
