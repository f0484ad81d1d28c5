"""One method for each endpoint of the API, over a Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import sys
import time
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from scriberrctl import __version__, advice
from scriberrctl.errors import ApiError, NoDaemon, TimedOut
from scriberrctl.shapes import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scriberrctl.shapes import (
        Content,
        Event,
        Execution,
        Explanation,
        Inboxes,
        Job,
        Model,
        Page,
        Pause,
        Pull,
        Status,
    )

    Option = str | tuple[str, ...] | None

VERSION_HEADER = "Scriberrd-Version"
EDITED_HEADER = "Scriberrd-Edited"
PATIENCE = 20.0  # seconds for an answer: a database that others hold is waited for
STREAM_PATIENCE = 45.0  # seconds: events have a heartbeat every 15; an upload waits for a slow disk
LEAST_PATIENCE = 1.0  # seconds: even with a timeout of 0 the present state is shown
QUEUE = 0.05  # seconds between two tries to connect while the socket's queue is full
CHUNK = 256 * 1024  # bytes


def sockets(given: str | None) -> list[str]:
    """The sockets to try, in this order."""
    if given or (given := os.environ.get("SCRIBERRD_SOCKET")):
        return [given]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    folders = dict.fromkeys([runtime, f"/run/user/{os.getuid()}", "/run"])
    return [f"{folder}/scriberrd/scriberrd.sock" for folder in folders]


class Client:
    """A connection to the first of these sockets that answers."""

    def __init__(self, given: str | None = None) -> None:
        self._sockets = sockets(given)
        self._compared = False
        self._deadline: float | None = None  # of the wait that is going on

    def health(self) -> dict[str, str]:
        """Whether the daemon answers and its database can be read."""
        return cast("dict[str, str]", self._json("GET", "/v1/health"))

    def status(self) -> Status:
        """The daemon at a glance."""
        return cast("Status", self._json("GET", "/v1/status"))

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
        return cast("Page", self._json("GET", "/v1/jobs", {"state": states, **wanted}))

    def job(self, id_: int) -> Job:
        """A job."""
        return cast("Job", self._json("GET", f"/v1/jobs/{id_}"))

    def executions(self, id_: int) -> list[Execution]:
        """The runs of a job, oldest first."""
        runs = self._json("GET", f"/v1/jobs/{id_}/executions")["executions"]
        return cast("list[Execution]", runs)

    def submit(self, path: str, **options: Option) -> tuple[Job, bool]:
        """Queue a file in an inbox; also tells whether there is something new to do."""
        body = json.dumps({"path": path} | {key: val for key, val in options.items() if val})
        return self._submitted("/v1/jobs", body.encode(), "application/json")

    def upload(self, name: str, file: IO[bytes], **options: Option) -> tuple[Job, bool]:
        """Upload a file and queue it; also tells whether there is something new to do."""
        query = {"name": name} | options
        return self._submitted(_url("/v1/jobs", query), file, "application/octet-stream")

    def inboxes(self) -> Inboxes:
        """The inboxes, what lies in them, and what all of them ignore."""
        return cast("Inboxes", self._json("GET", "/v1/inboxes"))

    def rescan(self, inbox: str | None = None) -> list[Content]:
        """Have an inbox, or all of them, scanned now; returns all inboxes."""
        body = json.dumps({"inbox": inbox} if inbox else {}).encode()
        answer = self._exchange("POST", "/v1/inboxes/rescan", body, "application/json")[1]
        return cast("list[Content]", json.loads(answer)["inboxes"])

    def explain(self, path: str) -> Explanation:
        """What becomes of a file, and why."""
        return cast("Explanation", self._json("GET", "/v1/explain", {"path": path}))

    def cancel(self, id_: int) -> Job:
        """Cancel a job, or ask its worker to."""
        return cast("Job", self._json("POST", f"/v1/jobs/{id_}/cancel"))

    def retry(self, id_: int, /, **options: Option) -> Job:
        """Queue a failed or canceled job again; `set` has what is set over its profile."""
        return cast("Job", self._json("POST", f"/v1/jobs/{id_}/retry", options))

    def redo(self, id_: int, /, **options: Option) -> Job:
        """Do an ended job again: with another `profile`, from a `stage` on, or with `set`."""
        return cast("Job", self._json("POST", f"/v1/jobs/{id_}/redo", options))

    def name(self, id_: int, speaker: str, name: str) -> Job:
        """Name a speaker of a completed job, in all its files; "" takes the name away."""
        body = json.dumps({"speaker": speaker, "name": name}).encode()
        url = f"/v1/jobs/{id_}/speakers"
        return cast("Job", json.loads(self._exchange("POST", url, body, "application/json")[1]))

    def remove(self, id_: int, *, purge: bool = False) -> Job:
        """Remove an ended job, and, to purge it, its transcript; return it as it was."""
        url = _url(f"/v1/jobs/{id_}", {"purge": "true" if purge else None})
        return cast("Job", self._json("DELETE", url))

    def pause(self, **scope: str | None) -> list[Pause]:
        """Pause an inbox, a worker pool, or everything; returns all pauses."""
        return self._pauses("/v1/pause", scope)

    def resume(self, **scope: str | None) -> list[Pause]:
        """Resume an inbox, a worker pool, or everything; returns the pauses that are left."""
        return self._pauses("/v1/resume", scope)

    def models(self) -> list[Model]:
        """The models on the daemon's machine."""
        return cast("list[Model]", self._json("GET", "/v1/models")["models"])

    def pull(self, model: str) -> Pull:
        """Have a model on the daemon's machine; how far that is tells an event."""
        body = json.dumps({"model": model}).encode()
        answer = self._exchange("POST", "/v1/models", body, "application/json")[1]
        return cast("Pull", json.loads(answer))

    def _pauses(self, path: str, scope: Mapping[str, str | None]) -> list[Pause]:
        body = json.dumps({key: value for key, value in scope.items() if value is not None})
        answer = self._exchange("POST", path, body.encode(), "application/json")[1]
        return cast("list[Pause]", json.loads(answer)["pauses"])

    def transcript(self, id_: int, format_: str) -> Transcript:
        """The transcript of a completed job."""
        url = _url(f"/v1/jobs/{id_}/transcript", {"format": format_})
        with self._dial() as sock, self._answer(sock, "GET", url) as response, self._broken_off():
            return Transcript(response.read(), edited=EDITED_HEADER in response.headers)

    @contextlib.contextmanager
    def events(
        self, *, after: str | None = None, job: int | None = None, deadline: float | None = None
    ) -> Iterator[Iterator[Event]]:
        """Follow events, from the one after `after` on or from now on.

        Args:
            after: the cursor or id of the last known event.
            job: only events of this job.
            deadline: when to raise TimedOut, on the monotonic clock.
        """
        self._deadline = deadline
        url = _url("/v1/events", {"after": after, "job": job})
        try:
            with self._dial() as sock, self._answer(sock, "GET", url) as response:
                yield self._follow(response, sock)
        finally:
            self._deadline = None

    def _json(self, method: str, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return json.loads(self._exchange(method, _url(path, query or {}))[1])

    def _submitted(self, url: str, body: bytes | IO[bytes], kind: str) -> tuple[Job, bool]:
        status, answer = self._exchange("POST", url, body, kind)
        return cast("Job", json.loads(answer)), status == http.client.ACCEPTED

    def _exchange(
        self,
        method: str,
        url: str,
        body: bytes | IO[bytes] | None = None,
        kind: str = "",
    ) -> tuple[int, bytes]:
        with (
            self._dial() as sock,
            self._answer(sock, method, url, body, kind) as response,
            self._broken_off(),
        ):
            return response.status, response.read()

    def _answer(
        self,
        sock: socket.socket,
        method: str,
        url: str,
        body: bytes | IO[bytes] | None = None,
        kind: str = "",
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("localhost", blocksize=CHUNK)
        connection.sock = sock
        if body is not None:
            sock.settimeout(STREAM_PATIENCE)  # for each piece
        with self._broken_off():
            # A body that is refused half way has its answer waiting already.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                headers = {"Content-Type": kind} if kind else {}
                connection.request(method, url, body=body, headers=headers)
            if body is not None:
                self._await_reading(sock)
            response = connection.getresponse()
            self._compare(response.headers.get(VERSION_HEADER, ""))
            if response.status < http.client.BAD_REQUEST:
                return response
            with response:
                raise _refusal(response.status, response.read())

    def _await_reading(self, sock: socket.socket) -> None:
        # A submission is answered once the daemon has read the whole recording. That may take long:
        # wait for as long as the daemon is healthy.
        while not select.select([sock], [], [], PATIENCE)[0]:
            with contextlib.suppress(ApiError):
                self.health()

    def _compare(self, theirs: str) -> None:
        if not theirs:
            raise NoDaemon("another program answers at this socket: give scriberrd's with --socket")
        if not self._compared and theirs.split(".")[:2] != __version__.split(".")[:2]:
            sys.stderr.write(
                f"warning: scriberrctl is {__version__}, but the daemon is {theirs}:"
                " restart the daemon, or update both\n"
            )
        self._compared = True

    def _dial(self) -> socket.socket:
        tried, todo = [], advice.START
        for path in self._sockets:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.settimeout(self._patience(PATIENCE))
                _connect(sock, path)
            except OSError as error:
                sock.close()
                tried.append(f"  {path}: {error.strerror or error}")
                if isinstance(error, PermissionError):
                    todo = advice.let_in(path)
            else:
                return sock
        raise NoDaemon("\n".join(["can't connect to scriberrd. Tried:", *tried, todo]))

    def _patience(self, most: float, least: float = LEAST_PATIENCE) -> float:
        if self._deadline is None:
            return most
        return min(most, max(self._deadline - time.monotonic(), least))

    @contextlib.contextmanager
    def _broken_off(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            self._check_deadline()
            raise NoDaemon("the daemon is there, but does not answer") from error
        except (OSError, http.client.HTTPException) as error:
            raise NoDaemon(f"lost the connection to the daemon: {error}") from error

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TimedOut("timed out; the jobs continue")

    def _follow(self, response: http.client.HTTPResponse, sock: socket.socket) -> Iterator[Event]:
        while True:
            self._check_deadline()
            with self._broken_off():
                sock.settimeout(self._patience(STREAM_PATIENCE, 0.001))
                line = response.readline()
            if not line:
                return
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def _connect(sock: socket.socket, path: str) -> None:
    # A full queue refuses at once, whatever the timeout: many clients connect just now.
    until = time.monotonic() + (sock.gettimeout() or 0)
    while True:
        try:
            return sock.connect(path)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(QUEUE)


def _url(path: str, query: Mapping[str, Any]) -> str:
    given = {key: value for key, value in query.items() if value not in (None, ())}
    # A path need not be UTF-8.
    return f"{path}?{urlencode(given, doseq=True, errors='surrogateescape')}" if given else path


def _refusal(status: int, body: bytes) -> ApiError:
    try:
        problem = json.loads(body)
        return ApiError(problem["code"], problem["detail"], status)
    except (ValueError, KeyError, TypeError):
        return ApiError("unknown", f"the daemon answered with status {status}", status)
