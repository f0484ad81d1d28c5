"""Wait for jobs by listening to what happens, not by asking again and again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.errors import NoDaemon
from scriberrctl.holds import Holds
from scriberrctl.shapes import ENDED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scriberrctl.client import Client
    from scriberrctl.session import Session
    from scriberrctl.shapes import Job


MAY_HOLD = frozenset({"paused", "resumed", "retried"})  # an outage begins or goes on with a retry


def until_ended(session: Session, ids: Collection[int], *, deadline: float | None = None) -> None:
    """Show on stderr how the jobs get on and what holds them up, then each on stdout as it ends."""
    live, line, holds = sys.stderr.isatty(), "", Holds(session.client)
    for job in follow(session.client, ids, deadline=deadline):
        if job is None:
            for reason in holds.news():
                line = ""
                click.echo(f"\r\x1b[K{reason}" if live else reason, err=True)
            continue
        holds.see(job)
        if job["state"] in ENDED:
            click.echo("\r\x1b[K" if live else "", nl=False, err=True)
            session.say(job, lambda: render.outcome(job))  # noqa: B023 - called at once
            session.exit_code = max(session.exit_code, job["state"] != "completed")
        elif (now := render.bar(job)) != line:
            line = now
            click.echo(f"\r\x1b[K{line}" if live else line, nl=not live, err=True)


def follow(
    client: Client, ids: Collection[int], *, deadline: float | None = None
) -> Iterator[Job | None]:
    """Each job as it is and whenever something happens to it, until all have ended.

    None in between says that what holds them up may have changed.
    """
    waiting = set(ids)
    with client.events(deadline=deadline) as events:  # before the first look: nothing is missed
        for id_ in dict.fromkeys(ids):
            job = client.job(id_)
            waiting -= {id_} if job["state"] in ENDED else set()
            yield job
        yield None
        while waiting:
            event = next(events, None)
            if event is None:
                raise NoDaemon("the daemon stopped; its jobs go on when it runs again")
            about = list(waiting) if event["type"] == "gap" else [event["job"]]
            for id_ in waiting.intersection(about):
                job = client.job(id_)
                waiting -= {id_} if job["state"] in ENDED else set()
                yield job
            if event["type"] in MAY_HOLD:
                yield None
