"""`scriberrctl follow`."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from scriberrctl import render
from scriberrctl.errors import ApiError
from scriberrctl.following import Following
from scriberrctl.selection import selecting
from scriberrctl.shapes import ENDED
from scriberrctl.waiting import changes

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session
    from scriberrctl.shapes import Job


@click.command("follow")
@selecting("queued", "processing", of_range=())
def command(session: Session, *, chosen: Chosen) -> None:
    """Print what jobs transcribe as they do it, until they have ended."""
    following, texts = Following(session.client), _Texts(session, several=len(chosen.ids) > 1)
    for told in changes(session, following, chosen.ids):
        if isinstance(told, str):
            click.echo(told, err=True)
            continue
        following.ask(lambda: texts.go_on(told))  # noqa: B023 - called at once
        if told["state"] in ENDED:
            _end(session, told)


def _end(session: Session, job: Job) -> None:
    if session.json:
        session.say(job, str)
        return
    warnings = render.warnings(job) if job["state"] == "completed" else []
    for line in [*warnings, render.outcome(job)]:
        click.echo(line, err=True)


class _Texts:
    """What was printed of each job."""

    def __init__(self, session: Session, *, several: bool) -> None:
        self._session, self._several = session, several
        self._done: dict[int, float] = {}  # seconds of the recording that were looked at
        self._told: dict[int, float] = {}  # where the last phrase began that was printed

    def go_on(self, job: Job) -> None:
        """Print what is new."""
        id_, done = job["id"], job["progress"]["seconds"]
        if job["state"] != "completed" and done <= self._done.get(id_, 0.0):
            return
        try:
            content = self._session.client.transcript(id_, "json", partial=True).content
        except ApiError as error:
            if error.code != "transcript_not_ready":
                raise
            if job["state"] == "completed":
                self._session.note(f"the end of job {id_} is only in its files: {error}")
            return
        told = self._told.get(id_, -1.0)
        new = [one for one in json.loads(content)["segments"] if one["start"] > told]
        for segment in new:
            self._session.say({"job": id_, **segment}, partial(self._line, job, segment))
        sys.stdout.flush()
        self._done[id_] = done
        self._told[id_] = max([told, *(segment["start"] for segment in new)])

    def _line(self, job: Job, segment: dict[str, Any]) -> str:
        of = f"job {job['id']}: " if self._several else ""
        speaker = f"{segment['speaker']}: " if segment.get("speaker") else ""
        return render.plain(f"{of}{speaker}{segment['text'].strip()}")
