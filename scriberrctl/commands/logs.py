"""`scriberrctl logs`."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.errors import ApiError
from scriberrctl.following import Following
from scriberrctl.selection import selecting
from scriberrctl.shapes import ENDED
from scriberrctl.waiting import concerned

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on until the jobs have ended.")
@selecting()
def command(session: Session, *, chosen: Chosen, follow: bool) -> None:
    """Tell the story of jobs: when they were queued, started, put back and why, completed.

    Following outlives a restart of the daemon.
    """
    stories = _Stories(session, chosen.ids)
    if follow:
        stories.follow()
    else:
        stories.tell_all()


class _Stories:
    """How much was told of each job."""

    def __init__(self, session: Session, ids: list[int]) -> None:
        self._session, self._several = session, len(ids) > 1
        self._told = dict.fromkeys(ids, 0)  # lines of those of which there may be more

    def tell_all(self) -> None:
        """Tell what there is."""
        for id_ in list(self._told):
            try:
                self._tell(id_)
            except ApiError as error:
                self._refuse(id_, error)

    def follow(self) -> None:
        """Tell it as it happens, until all have ended."""
        following, client = Following(self._session.client), self._session.client
        only = None if self._several else next(iter(self._told))
        with closing(following.events(job=only)) as events:  # before the lines: none is missed
            for event in events:
                for id_ in concerned(self._told, event):
                    try:
                        job = following.ask(partial(client.job, id_))
                        following.ask(partial(self._tell, id_))
                    except ApiError as error:
                        self._refuse(id_, error)
                        continue
                    if job["state"] in ENDED:
                        del self._told[id_]
                if not self._told:
                    return

    def _tell(self, id_: int) -> None:
        """Print what was not printed yet."""
        lines, of = self._session.client.logs(id_), f"job {id_}: " if self._several else ""
        for line in lines[self._told[id_] :]:
            at, _, text = line.partition(" ")
            self._session.say(
                {"job": id_, "at": at, "text": text},
                lambda: render.line(at, f"{of}{text}"),  # noqa: B023 - called at once
            )
        sys.stdout.flush()
        self._told[id_] = len(lines)

    def _refuse(self, id_: int, error: ApiError) -> None:
        self._session.complain(str(error), error.exit_code)
        del self._told[id_]
