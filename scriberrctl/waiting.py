"""Wait for jobs by following events instead of polling."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.blockers import Blockers
from scriberrctl.errors import NoDaemon
from scriberrctl.shapes import ENDED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scriberrctl.client import Client
    from scriberrctl.session import Session
    from scriberrctl.shapes import Job


MAY_BLOCK = frozenset({"paused", "resumed", "retried"})  # an outage begins or goes on with a retry


def until_ended(session: Session, ids: Collection[int], *, deadline: float | None = None) -> None:
    """Show progress and why jobs wait on stderr, and each job on stdout when it ends."""
    live, line, blockers = sys.stderr.isatty(), "", Blockers(session.client)
    for job in follow(session.client, ids, deadline=deadline):
        if job is None:
            for reason in blockers.news():
                line = ""
                click.echo(f"\r\x1b[K{reason}" if live else reason, err=True)
            continue
        blockers.update(job)
        if job["state"] in ENDED:
            click.echo("\r\x1b[K" if live else "", nl=False, err=True)
            session.say(job, lambda: render.outcome(job))  # noqa: B023 - called at once
            if job["state"] == "completed" and not session.json:
                for warning in render.warnings(job):
                    click.echo(warning, err=True)
            session.exit_code = max(session.exit_code, job["state"] != "completed")
        elif (now := render.bar(job)) != line:
            line = now
            click.echo(f"\r\x1b[K{line}" if live else line, nl=not live, err=True)


def follow(
    client: Client, ids: Collection[int], *, deadline: float | None = None
) -> Iterator[Job | None]:
    """Each job as it is now and after each of its events, until all have ended.

    None in between means that the reasons why they wait may have changed.
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
                raise NoDaemon("the daemon stopped; its jobs continue when it starts again")
            about = list(waiting) if event["type"] == "gap" else [event["job"]]
            for id_ in waiting.intersection(about):
                job = client.job(id_)
                waiting -= {id_} if job["state"] in ENDED else set()
                yield job
            if event["type"] in MAY_BLOCK:
                yield None
