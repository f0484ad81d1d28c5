"""How requests reach the daemon: HTTP over a Unix socket, and patience for its answers."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode

from scriberrctl import __version__, advice
from scriberrctl.errors import ApiError, NoDaemon, TimedOut
from scriberrctl.unencrypted import HTTPConnection, HTTPException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.unencrypted import HTTPMessage, HTTPResponse

VERSION_HEADER = "Scriberrd-Version"
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


class Connection:
    """To the first of these sockets that answers; each request has a connection of its own."""

    def __init__(self, given: str | None = None) -> None:
        self.patience: float | None = None  # seconds for an answer, instead of the usual
        self._sockets = sockets(given)
        self._compared = False
        self._deadline: float | None = None  # of the wait that is going on

    def ask(self, method: str, path: str, /, **query: Any) -> Any:
        """The JSON that answers a request without a body."""
        return json.loads(self.exchange(method, url(path, **query))[1])

    def tell(self, path: str, /, **fields: Any) -> Any:
        """The JSON that answers a POST of these fields; what is None is left out."""
        body = json.dumps({key: value for key, value in fields.items() if value is not None})
        return json.loads(self.exchange("POST", path, body.encode(), "application/json")[1])

    def exchange(
        self,
        method: str,
        url: str,
        body: bytes | IO[bytes] | None = None,
        kind: str = "",
    ) -> tuple[int, bytes]:
        """The status and the content of an answer; `kind` is the type of the body."""
        with (
            self._dial() as sock,
            self._answer(sock, method, url, body, kind) as response,
            self._broken_off(),
        ):
            return response.status, response.read()

    def read(self, url: str) -> tuple[HTTPMessage, bytes]:
        """The headers and the content at a URL."""
        with self._dial() as sock, self._answer(sock, "GET", url) as response, self._broken_off():
            return response.headers, response.read()

    @contextlib.contextmanager
    def lines(self, url: str, deadline: float | None = None) -> Iterator[Iterator[bytes]]:
        """The lines of an answer that goes on, until the daemon ends it.

        Args:
            url: what to read.
            deadline: when to raise TimedOut, on the monotonic clock.
        """
        self._deadline = deadline
        try:
            with self._dial() as sock, self._answer(sock, "GET", url) as response:
                yield self._lines(response, sock)
        finally:
            self._deadline = None

    def _answer(
        self,
        sock: socket.socket,
        method: str,
        url: str,
        body: bytes | IO[bytes] | None = None,
        kind: str = "",
    ) -> HTTPResponse:
        connection = HTTPConnection("localhost", blocksize=CHUNK)
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
            if response.status < HTTPStatus.BAD_REQUEST:
                return response
            with response:
                raise _refusal(response.status, response.read())

    def _await_reading(self, sock: socket.socket) -> None:
        # A submission is answered once the daemon has read the whole recording. That may take long:
        # wait for as long as the daemon is healthy.
        while not select.select([sock], [], [], PATIENCE)[0]:
            with contextlib.suppress(ApiError):
                self.ask("GET", "/v1/health")

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
                sock.settimeout(self._patience(self.patience or PATIENCE))
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
        except (OSError, HTTPException) as error:
            raise NoDaemon(f"lost the connection to the daemon: {error}") from error

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TimedOut("timed out; the jobs continue")

    def _lines(self, response: HTTPResponse, sock: socket.socket) -> Iterator[bytes]:
        while True:
            self._check_deadline()
            with self._broken_off():
                sock.settimeout(self._patience(STREAM_PATIENCE, 0.001))
                line = response.readline()
            if not line:
                return
            yield line


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


def url(path: str, /, **query: Any) -> str:
    """A path with its query; what is None or empty is left out."""
    given = {key: value for key, value in query.items() if value not in (None, ())}
    # A path need not be UTF-8.
    return f"{path}?{urlencode(given, doseq=True, errors='surrogateescape')}" if given else path


def _refusal(status: int, body: bytes) -> ApiError:
    try:
        problem = json.loads(body)
        return ApiError(problem["code"], problem["detail"], status)
    except (ValueError, KeyError, TypeError):
        return ApiError("unknown", f"the daemon answered with status {status}", status)
