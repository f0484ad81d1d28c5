"""Wait for jobs by following events instead of polling."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.blockers import Blockers
from scriberrctl.errors import ApiError
from scriberrctl.following import Following
from scriberrctl.shapes import ENDED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable

    from scriberrctl.session import Session
    from scriberrctl.shapes import Event, Job


MAY_BLOCK = frozenset({"paused", "resumed", "retried"})  # an outage begins or goes on with a retry


def until_ended(session: Session, ids: Collection[int], *, deadline: float | None = None) -> None:
    """Show progress and why jobs wait on stderr, and each job on stdout when it ends.

    Args:
        session: where it is shown.
        ids: of the jobs; those that are unknown are told, and the others waited for.
        deadline: when to raise TimedOut, on the monotonic clock.
    """
    following, shown = Following(session.client, deadline=deadline), _Shown(session)
    for told in changes(session, following, ids, shown.clear):
        if isinstance(told, str):
            shown.tell([told])
        else:
            shown.show(told)


def changes(
    session: Session,
    following: Following,
    ids: Collection[int],
    clear: Callable[[], None] = lambda: None,
) -> Generator[Job | str]:
    """Each job as it is now and after each of its events, until all have ended; and why they wait.

    Args:
        session: is told of jobs that are unknown.
        following: asks, and waits for the daemon.
        ids: of the jobs.
        clear: makes room for a line to people.
    """
    waiting: dict[int, str] = dict.fromkeys(ids, "")  # and when each was submitted
    client = session.client
    blockers = Blockers(client)
    with closing(following.events()) as events:
        for event in events if waiting else ():
            for id_ in concerned(waiting, event):
                try:
                    job = following.ask(lambda: client.job(id_))  # noqa: B023 - called at once
                    waiting[id_] = _same(job, waiting[id_])
                except ApiError as error:  # there is none, or no longer
                    clear()
                    session.complain(str(error), error.exit_code)
                    del waiting[id_]
                    continue
                blockers.update(job)
                yield job
                if job["state"] in ENDED:
                    session.exit_code = max(session.exit_code, job["state"] != "completed")
                    del waiting[id_]
            if not waiting:
                return
            if event is None or event["type"] in MAY_BLOCK:
                yield from following.ask(lambda: list(blockers.news()))


def _same(job: Job, created_at: str) -> str:
    """When a job was submitted.

    Raises:
        ApiError: not then; the database is another one, in which the number is another job's.
    """
    if created_at not in ("", job["created_at"]):
        detail = f"job {job['id']} is another one now: the daemon has another database"
        raise ApiError("job_not_found", detail, 404)
    return job["created_at"]


def concerned(waiting: Iterable[int], event: Event | None) -> list[int]:
    """Which of those that are waited for may be others now."""
    if event is None or event["type"] == "gap":
        return list(waiting)
    return [id_ for id_ in waiting if id_ == event["job"]]


class _Shown:
    """What people have been shown."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._line = ""

    def show(self, job: Job) -> None:
        """A job as it is now: its progress, or how it ended."""
        if job["state"] in ENDED:
            self.clear()
            self._session.say(job, lambda: render.outcome(job))
            sys.stdout.flush()
            if job["state"] == "completed" and not self._session.json:
                self.tell(render.warnings(job))
            return
        screen = render.Screen.of(sys.stderr)
        line = render.bar(job, screen.inside(1))  # the last column is left to the cursor
        if line != self._line:
            self._line = line
            click.echo(f"\r\x1b[K{line}" if screen.draws else line, nl=not screen.draws, err=True)

    def tell(self, lines: Iterable[str]) -> None:
        """What is not about progress."""
        for line in lines:
            self.clear()
            click.echo(line, err=True)

    def clear(self) -> None:
        """Take the line of progress away."""
        self._line = ""
        if render.Screen.of(sys.stderr).draws:
            click.echo("\r\x1b[K", nl=False, err=True)
