"""One method for each endpoint of the API."""

from __future__ import annotations

import contextlib
import json
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from scriberrctl.connection import Connection, url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.shapes import (
        Content,
        Event,
        Execution,
        Explanation,
        Health,
        Inboxes,
        Job,
        Model,
        Page,
        Pause,
        Pull,
        Purged,
        Reloaded,
        Stats,
        Status,
        Verified,
    )

    Option = str | tuple[str, ...] | None

EDITED_HEADER = "Scriberrd-Edited"
PARTIAL_HEADER = "Scriberrd-Partial"


class Transcript(NamedTuple):
    """A transcript in one of its formats."""

    content: bytes
    edited: bool  # somebody has changed the published file, or the one before it
    partial: bool  # the job is not completed: it is the transcript so far


class Client:
    """What a daemon can be asked and told."""

    def __init__(self, given: str | None = None) -> None:
        self.connection = Connection(given)
        self._ask, self._tell = self.connection.ask, self.connection.tell

    def health(self) -> Health:
        """Whether the daemon answers and its database can be read."""
        return cast("Health", self._ask("GET", "/v1/health"))

    def description(self) -> dict[str, object]:
        """The API as OpenAPI describes it."""
        return cast("dict[str, object]", self._ask("GET", "/v1/openapi.json"))

    def status(self) -> Status:
        """The daemon at a glance."""
        return cast("Status", self._ask("GET", "/v1/status"))

    def jobs(
        self,
        *,
        states: tuple[str, ...] = (),
        inbox: str | None = None,
        text: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Page:
        """Jobs, newest first."""
        wanted = {"inbox": inbox, "text": text, "before": before, "limit": limit}
        return cast("Page", self._ask("GET", "/v1/jobs", state=states, **wanted))

    def job(self, id_: int) -> Job:
        """A job."""
        return cast("Job", self._ask("GET", f"/v1/jobs/{id_}"))

    def logs(self, id_: int) -> list[str]:
        """The story of a job, line by line."""
        _, content = self.connection.read(f"/v1/jobs/{id_}/logs")
        return content.decode().splitlines()

    def executions(self, id_: int) -> list[Execution]:
        """The runs of a job, oldest first."""
        runs = self._ask("GET", f"/v1/jobs/{id_}/executions")["executions"]
        return cast("list[Execution]", runs)

    def submit(self, path: str, **options: Option) -> tuple[Job, bool]:
        """Queue a file in an inbox; also tells whether there is something new to do."""
        body = json.dumps({"path": path} | {key: val for key, val in options.items() if val})
        return self._submitted("/v1/jobs", body.encode(), "application/json")

    def upload(self, name: str, file: IO[bytes], **options: Option) -> tuple[Job, bool]:
        """Upload a file and queue it; also tells whether there is something new to do."""
        to = url("/v1/jobs", name=name, **options)
        return self._submitted(to, file, "application/octet-stream")

    def inboxes(self) -> Inboxes:
        """The inboxes, what lies in them, and what all of them ignore."""
        return cast("Inboxes", self._ask("GET", "/v1/inboxes"))

    def rescan(self, inbox: str | None = None) -> list[Content]:
        """Have an inbox, or all of them, scanned now; returns all inboxes."""
        return cast("list[Content]", self._tell("/v1/inboxes/rescan", inbox=inbox)["inboxes"])

    def explain(self, path: str) -> Explanation:
        """What becomes of a file, and why."""
        return cast("Explanation", self._ask("GET", "/v1/explain", path=path))

    def cancel(self, id_: int) -> Job:
        """Cancel a job, or ask its worker to."""
        return cast("Job", self._ask("POST", f"/v1/jobs/{id_}/cancel"))

    def prioritize(self, id_: int, priority: str) -> Job:
        """Have a queued job claimed before or after others."""
        return cast("Job", self._tell(f"/v1/jobs/{id_}/priority", priority=priority))

    def retry(self, id_: int, /, **options: Option) -> Job:
        """Queue a failed or canceled job again; `set` has what is set over its profile."""
        return cast("Job", self._ask("POST", f"/v1/jobs/{id_}/retry", **options))

    def redo(self, id_: int, /, **options: Option) -> Job:
        """Do an ended job again: with another `profile`, from a `stage` on, or with `set`."""
        return cast("Job", self._ask("POST", f"/v1/jobs/{id_}/redo", **options))

    def name(self, id_: int, speaker: str, name: str) -> Job:
        """Name a speaker of a completed job, in all its files; "" takes the name away."""
        return cast("Job", self._tell(f"/v1/jobs/{id_}/speakers", speaker=speaker, name=name))

    def remove(self, id_: int, *, purge: bool = False) -> Job:
        """Remove an ended job, and, to purge it, its transcript; return it as it was."""
        wanted = "true" if purge else None
        return cast("Job", self._ask("DELETE", f"/v1/jobs/{id_}", purge=wanted))

    def pause(self, **scope: str | None) -> list[Pause]:
        """Pause an inbox, a worker pool, or everything; returns all pauses."""
        return cast("list[Pause]", self._tell("/v1/pause", **scope)["pauses"])

    def resume(self, **scope: str | None) -> list[Pause]:
        """Resume an inbox, a worker pool, or everything; returns the pauses that are left."""
        return cast("list[Pause]", self._tell("/v1/resume", **scope)["pauses"])

    def reload(self) -> Reloaded:
        """Have the daemon work by its configuration as it is now."""
        return cast("Reloaded", self._ask("POST", "/v1/reload"))

    def models(self) -> list[Model]:
        """The models on the daemon's machine, and those that may come."""
        return cast("list[Model]", self._ask("GET", "/v1/models")["models"])

    def pull(self, model: str, folder: str | None = None) -> Pull:
        """Have a model on the daemon's machine; how far that is tells an event.

        Args:
            model: its name, or its id on the hub.
            folder: of the daemon's machine, to copy it from; by default it is downloaded.
        """
        return cast("Pull", self._tell("/v1/models", **{"model": model, "from": folder}))

    def unpull(self, model: str) -> list[Model]:
        """Delete a model from the daemon's cache; the models that there are then."""
        return cast("list[Model]", self._ask("DELETE", "/v1/models", model=model)["models"])

    def verify(self, model: str) -> Verified:
        """Have the daemon read all files of a model."""
        return cast("Verified", self._tell("/v1/models/verify", model=model))

    def purge(self, *, dry_run: bool = False) -> Purged:
        """Delete what is too old, or tell what would be deleted."""
        return cast("Purged", self._tell("/v1/purge", dry_run=dry_run))

    def stats(self, *, since: str | None = None, by: str = "day") -> Stats:
        """What was done since a time."""
        return cast("Stats", self._ask("GET", "/v1/stats", since=since, by=by))

    def transcript(self, id_: int, format_: str, *, partial: bool = False) -> Transcript:
        """The transcript of a completed job; `partial`: or what there is so far of another."""
        so_far = "true" if partial else None
        wanted = url(f"/v1/jobs/{id_}/transcript", format=format_, partial=so_far)
        headers, content = self.connection.read(wanted)
        return Transcript(
            content, edited=EDITED_HEADER in headers, partial=PARTIAL_HEADER in headers
        )

    @contextlib.contextmanager
    def stream(
        self, *, after: str | None = None, job: int | None = None, deadline: float | None = None
    ) -> Iterator[Iterator[tuple[str, Event | None]]]:
        """Follow events, each with where it is; None tells only how far the stream is.

        Args:
            after: the cursor or id of the last known event.
            job: only events of this job.
            deadline: when to raise TimedOut, on the monotonic clock.
        """
        with self.connection.lines(url("/v1/events", after=after, job=job), deadline) as lines:
            yield _events(lines)

    def _submitted(self, to: str, body: bytes | IO[bytes], kind: str) -> tuple[Job, bool]:
        status, answer = self.connection.exchange("POST", to, body, kind)
        return cast("Job", json.loads(answer)), status == HTTPStatus.ACCEPTED


def _events(lines: Iterator[bytes]) -> Iterator[tuple[str, Event | None]]:
    """What server-sent events tell."""
    cursor, event = "", None
    for line in lines:
        field, _, value = line.rstrip().partition(b": ")
        if field == b"id":
            cursor = value.decode()
        elif field == b"data":
            event = json.loads(value)
        elif not field and not value and cursor:
            yield cursor, event
            event = None
