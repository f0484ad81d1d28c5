"""Why queued jobs wait: each reason is told once, and again only when it changes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scriberrctl import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scriberrctl.client import Client
    from scriberrctl.render import Screen
    from scriberrctl.shapes import Job, Outage, Pause, Status

NAMED = 5  # of more jobs, only the number is told


class Blockers:
    """The queued jobs, and the reasons that were told for each."""

    def __init__(self, client: Client, jobs: Iterable[Job] = ()) -> None:
        self._client = client
        self._queued: dict[int, Job] = {}
        self._told: dict[int, set[str]] = {}
        for job in jobs:
            self.update(job)

    def update(self, job: Job) -> None:
        """Take in a job as it is now."""
        self._queued.pop(job["id"], None)
        if job["state"] == "queued":
            self._queued[job["id"]] = job

    def news(self) -> Iterator[str]:
        """One line for all jobs that wait for the same new reasons."""
        if not self._queued:
            return
        status, screen = self._client.status(), render.Screen.of(sys.stderr)
        new: dict[str, list[int]] = {}
        for id_, job in self._queued.items():
            reasons = list(_reasons(job, status, screen))
            if not self._told.get(id_, set()).issuperset(reasons):
                new.setdefault("; ".join(reasons), []).append(id_)
            self._told[id_] = set(reasons)
        for line, ids in new.items():
            yield f"{_subject(ids)} waiting: {line}"


def briefly(jobs: Iterable[Job], status: Status, screen: Screen) -> dict[int, str]:
    """Why each of these jobs that waits does, in a few words."""
    paused = {pause["inbox"] for pause in status["pauses"] if not pause["worker"]}
    why = {}
    for job in jobs:
        if job["state"] != "queued":
            continue
        if paused & {job["inbox"], None}:
            why[job["id"]] = "paused"
        elif job["not_before"]:
            what = "retry" if job["error"] else "try"
            why[job["id"]] = f"{what} {screen.when(job['not_before'])}"
    return why


def _subject(ids: list[int]) -> str:
    if len(ids) == 1:
        return f"job {ids[0]} is"
    return f"{len(ids)} jobs are" if len(ids) > NAMED else f"jobs {', '.join(map(str, ids))} are"


def _reasons(job: Job, status: Status, screen: Screen) -> Iterator[str]:
    outages = [one for one in status["outages"] if _concerns(one, job)]
    error = job["error"]
    if error is not None and error not in [outage["error"] for outage in outages]:
        yield f"last error: {render.failure(error)}"
    if job["not_before"]:
        yield f"next try {screen.when(job['not_before'])}"
    for pause in status["pauses"]:
        if pause["inbox"] == job["inbox"] or not (pause["inbox"] or pause["worker"]):
            yield _paused(pause, screen)
    yield from _no_worker(status, screen)
    for outage in outages:
        yield f"outage: {render.outage(outage, screen)}"


def _concerns(outage: Outage, job: Job) -> bool:
    if outage["part"] == "diarizer":
        return job["diarize"] == "required"
    if outage["part"] == "leaving":  # that is after its job
        return False
    return outage["part"] not in {"inbox", "output"} or outage["name"] == job["inbox"]


def _no_worker(status: Status, screen: Screen) -> Iterator[str]:
    """Why no worker claims jobs; nothing, if one does."""
    pools = {pause["worker"]: pause for pause in status["pauses"] if pause["worker"]}
    why = {}
    for worker in status["workers"]:
        name = worker["name"]
        pool = name if name in pools else name.rpartition("-")[0]  # of several, each has a number
        if pool in pools:
            why[pool] = _paused(pools[pool], screen)
        elif worker["reason"]:
            why[name] = f"worker {name}: {render.plain(worker['reason'])}"
        else:
            return
    yield from why.values()


def _paused(pause: Pause, screen: Screen) -> str:
    return f"paused: {render.pause(pause, screen)} (to resume: {render.resume(pause)})"
