"""Who is connected: no more clients than there is room for, and none that holds its place idly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from scriberrd import __version__
from scriberrd.api.problems import VERSION_HEADER, encoded
from scriberrd.api.socket import BACKLOG
from scriberrd.errors import ScriberrdError, TooManyConnections, TooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp.typedefs import Handler, Middleware

    from scriberrd.api.socket import Listener

log = logging.getLogger(__name__)

MOST = 384  # connections; an upload has two descriptors more
SHARE = 4  # they get one of so many descriptors that the daemon may open
PARTS = 3  # a third of them for uploads, one for streams of events, one for all that is short
PATIENCE = 60.0  # seconds that a client gets for a whole request, or for the next STEP of one
STEP = 16 * 1024  # bytes of a request
TOO_SLOW = f"less than {STEP} bytes came in {PATIENCE:.0f} seconds"
GRACE = 5.0  # seconds that it gets for its answer when others want its place
REFUSED = 32  # clients that were told so and may still be reading it
TICK = 1.0  # seconds from one look at all of them to the next
PAUSE = 0.5  # seconds without accepting, when the machine has no descriptors left
FAREWELL = 5.0  # seconds that requests in progress are given at shutdown


def room() -> int:
    """How many connections there may be: the work needs descriptors too."""
    return min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE)


@dataclass(eq=False)
class Connection:
    """A client, and since when the daemon waits for it."""

    socket: socket.socket
    transport: asyncio.Transport
    moved: float  # seconds on the clock of the loop
    request: web.Request | None = None  # that is being handled
    received: int = 0  # bytes of it, at `moved`
    unsent: int = 0  # bytes that the client has not taken yet

    def look(self, now: float) -> None:
        """See whether the client has done something, or has nothing to do but wait for us."""
        body = self.request.content if self.request else None
        unsent = self.transport.get_write_buffer_size()
        received = body.total_bytes if body else 0
        ours = body is not None and (body.is_eof() or not self.transport.is_reading())
        if (ours and not unsent) or unsent < self.unsent or received >= self.received + STEP:
            self.moved, self.received = now, received
        self.unsent = unsent

    def turn(self, request: web.Request | None, now: float) -> None:
        """A request begins, or has been handled."""
        self.request, self.moved, self.received = request, now, 0

    def idle(self, now: float) -> bool:
        """Whether it may be closed in favour of another."""
        return self.request is None and (not self.unsent or now - self.moved >= GRACE)


class Connections:
    """Accepts clients at a socket, and closes those that do nothing."""

    def __init__(self, server: web.Server, listener: Listener, most: int) -> None:
        self._server, self._listener, self._most = server, listener, most
        self._loop = asyncio.get_running_loop()
        self.open: dict[asyncio.BaseTransport, Connection] = {}
        self._coming: set[asyncio.Task[None]] = set()
        self._refused: deque[socket.socket] = deque()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._uploads = 0
        self._trouble = ""
        self._ticked = self._loop.time()

    @contextlib.contextmanager
    def handling(self, request: web.Request) -> Iterator[None]:
        """Know that the client of this request waits for its answer meanwhile.

        Raises:
            TooManyConnections: it is an upload, and there are enough of them.
        """
        connection = self.open.get(request.transport) if request.transport else None
        if connection is None:  # it has gone already
            yield
            return
        upload = not request.content.is_eof()
        if upload and self._uploads >= self._most // PARTS:
            raise TooManyConnections("too many uploads at once: try again")
        self._uploads += upload
        connection.turn(request, self._loop.time())
        try:
            yield
        finally:
            connection.turn(None, self._loop.time())
            self._uploads -= upload

    def start(self) -> None:
        """Accept whoever comes."""
        self._listen()
        self._tick()

    def stop(self) -> None:
        """Accept nobody more."""
        for timer in self._timers.values():
            timer.cancel()
        for client in self._refused:
            client.close()
        self._loop.remove_reader(self._listener.socket)

    def _listen(self) -> None:
        self._loop.add_reader(self._listener.socket, self._accept, self._listener.socket)

    def _accept(self, at: socket.socket) -> bool:
        """Take in the next who waits at a socket, if there is room; whether somebody was there."""
        try:
            client, _ = at.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:  # out of descriptors or memory: the socket stays readable
            log.warning("can't accept connections for now: %s", error.strerror)
            self._make_room()
            self._loop.remove_reader(at)
            self._timers["listen"] = self._loop.call_later(PAUSE, self._listen)
            return False
        client.settimeout(0)
        if not self._has_room() and not self._make_room():
            self._refuse(client)
            return True
        task = self._loop.create_task(self._serve(client))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        return True

    async def _serve(self, client: socket.socket) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(self._server, client)
        except OSError as error:
            client.close()
            log.info("a client disconnected before it was accepted: %s", error)
        else:
            self.open[transport] = Connection(client, transport, self._loop.time())

    def _has_room(self) -> bool:
        if len(self.open) + len(self._coming) >= self._most:  # some may have gone
            self._forget()
        return len(self.open) + len(self._coming) < self._most

    def _forget(self) -> None:
        for transport, one in list(self.open.items()):
            if one.socket.fileno() < 0:  # a closed one keeps its descriptor until all is sent
                del self.open[transport]

    def _make_room(self) -> bool:
        """Close the one that has done nothing for longest; whether there is any."""
        now = self._loop.time()
        for one in self.open.values():
            one.look(now)
        idle = [one for one in self.open.values() if one.idle(now)]
        if not idle:
            return False
        log.info("too many connections: closed the one that was idle for longest")
        self._drop(min(idle, key=lambda one: one.moved))
        return True

    def _drop(self, one: Connection) -> None:
        one.transport.abort()
        self.open.pop(one.transport, None)

    def _refuse(self, client: socket.socket) -> None:
        """Tell a client that there is no room; it need not have asked yet, so it keeps its end."""
        log.info("too many connections: refused another")
        with contextlib.suppress(OSError):  # it has gone
            client.send(_refusal())
            client.shutdown(socket.SHUT_WR)
        self._refused.append(client)
        if len(self._refused) > REFUSED:
            self._refused.popleft().close()

    def look(self, now: float) -> None:
        """Close the connections of clients that have done nothing for too long."""
        self._forget()
        for one in list(self.open.values()):
            one.look(now)
            if now - one.moved < PATIENCE:
                continue
            if one.request is not None and not one.unsent and not one.request.content.exception():
                one.request.content.set_exception(TooSlow(TOO_SLOW))
                one.moved = now  # for the answer
            else:
                log.info("closed an idle connection")
                self._drop(one)

    def _tick(self) -> None:
        self._timers["tick"] = self._loop.call_later(TICK, self._tick)
        now = self._loop.time()
        away, self._ticked = now - self._ticked - TICK, now
        if away > TICK:  # the daemon stood still, and so no client could do anything
            for one in self.open.values():
                one.moved += away
        self.look(now)
        self.stay_reachable()

    def stay_reachable(self) -> None:
        """Listen anew when the socket's file was taken away; who is connected notices nothing."""
        try:
            if not self._listener.lost():
                return
            former = self._listener.again()
        except (ScriberrdError, OSError) as error:
            if str(error) != self._trouble:  # it is tried at every tick
                log.error("can't listen any more, no client can connect: %s", error)  # noqa: TRY400
            self._trouble = str(error)
            return
        log.warning("the socket was removed, created it again: %s", self._listener.path)
        self._trouble = ""
        self._loop.remove_reader(former)
        with former:
            for _ in range(BACKLOG):
                if not self._accept(former):
                    break
        self._listen()


def _refusal() -> bytes:
    error = TooManyConnections("too many connections, and all are in use: try again")
    body = encoded(error.status, error.code, str(error))
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"{VERSION_HEADER}: {__version__}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _short(record: logging.LogRecord) -> bool:
    """Tell of a request that is no HTTP without a traceback: the client is told, too."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = "a malformed request: %s", (" ".join(error.message.split()),)
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


@contextlib.asynccontextmanager
async def serving(
    app: web.Application, listener: Listener, guard: Middleware, *, most: int | None = None
) -> AsyncIterator[Connections]:
    """Answer requests on a socket that listens already.

    Args:
        app: what answers.
        listener: where clients come.
        guard: knows who may.
        most: connections; by default as many as there is room for.
    """

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        with connections.handling(request):
            return await handler(request)

    app.middlewares.extend((watch, guard))
    logging.getLogger("aiohttp.server").addFilter(_short)  # twice is once
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=FAREWELL)
    await runner.setup()
    server = cast("web.Server", runner.server)  # which it has from now on
    connections = Connections(server, listener, room() if most is None else most)
    connections.start()
    try:
        yield connections
    finally:
        connections.stop()
        await runner.cleanup()
