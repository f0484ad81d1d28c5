"""A worker process: spawn it, talk to it, kill it.

Nothing is shared with it but a socket for commands, a pipe for replies and a pipe for what it
prints, which goes to the journal. It is spawned from the event loop's thread, since the kernel
kills it when the *thread* that made it ends; and never forked, since this process holds a database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from scriberrd import protocol
from scriberrd.errors import WorkerDied
from scriberrd.logs import Event
from scriberrd.work import oom
from scriberrd.work.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

T = TypeVar("T")

Kind = Literal["engine", "diarizer"]  # what a process is sent: Task alone, or Diarize alone

OOM_KILLER = "the worker was killed by signal 9: the kernel does so when memory runs out"
# With these somebody ends a process; no code dies of them by itself.
SENT = (signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGHUP)
DYING = 10.0  # seconds: far more than the kernel takes to end a process that can be ended
LAST_MOMENTS = 5.0  # seconds between the end of its replies and the end of the process
HEARD = 65536  # bytes of what it prints that are read at once
QUIET = 1.0  # seconds without a line, after which it is said how many were left out
# What only the daemon itself may talk to.
PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID")
# CTranslate2 asks for large buffers and gives them back for each window: in pages of 4 kB, the
# kernel takes a third of the processor time to clear them. Where it has no such pages, and with
# another C library, this changes nothing.
MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


class Process:
    """A living worker process."""

    def __init__(
        self,
        name: str,
        child: asyncio.SubprocessTransport,
        process: asyncio.subprocess.Process,
        commands: socket.socket,
        replies: asyncio.StreamReader,
        transport: asyncio.ReadTransport,
    ) -> None:
        self.name = name
        self.pid = process.pid
        self._pidfd = os.pidfd_open(process.pid)
        self._child = child
        self._killed = False  # by us
        self._died = False  # which is told instead of its end
        self._end: asyncio.Task[None] | None = None
        self._diarizes = False
        self._ready = False  # to work on the recording of its latest task
        self._oom_kills = self._latest_oom_kills = oom.kills()  # before the last two heartbeats
        self._process = process
        self._commands = commands
        self._replies = replies
        self._transport = transport
        self._printed = Printed(name)
        self._listening = asyncio.create_task(self._listen())

    @property
    def alive(self) -> bool:
        """Whether it lives at this moment; that it has ended, asyncio learns only later."""
        if self._pidfd < 0:
            return False
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    @classmethod
    async def spawn(cls, name: str) -> Process:
        """Start a worker.

        Raises:
            OSError: the system has no room for another process.
        """
        commands, theirs = socket.socketpair()
        read_fd, write_fd = os.pipe()
        loop = asyncio.get_running_loop()
        try:
            # As asyncio.create_subprocess_exec() does, which keeps the transport to itself.
            child, heard = await loop.subprocess_exec(
                lambda: asyncio.subprocess.SubprocessStreamProtocol(HEARD, loop),
                *(sys.executable, "-m", "scriberrd.worker"),
                *(str(theirs.fileno()), str(write_fd)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(), write_fd),
                env=MEMORY
                | {key: value for key, value in os.environ.items() if key not in PRIVATE},
                process_group=0,  # a Ctrl-C at the terminal is for the daemon alone
            )
        except BaseException:
            commands.close()
            os.close(read_fd)
            raise
        finally:
            theirs.close()
            os.close(write_fd)
        replies = asyncio.StreamReader(limit=protocol.MAX_LINE)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(replies), os.fdopen(read_fd, "rb", 0)
        )
        commands.settimeout(0)  # a worker that does not listen must not stop us
        process = asyncio.subprocess.Process(child, heard, loop)
        extra = {"event": Event.WORKER_STARTED}
        log.info("worker %s started, pid %d", name, process.pid, extra=extra)
        return cls(name, child, process, commands, replies, transport)

    def send(self, command: protocol.Command, *descriptors: int) -> None:
        """Send a command, with the recording's descriptor if it is about one.

        Raises:
            WorkerDied: it does not listen any more. One that has ended says so to `receive`.
        """
        if isinstance(command, protocol.Task | protocol.Diarize):
            self._diarizes, self._ready = isinstance(command, protocol.Diarize), False
            self._oom_kills = self._latest_oom_kills = oom.kills()
            self._printed.begin()
        line = protocol.encode(command) + b"\n"
        try:
            sent = socket.send_fds(self._commands, [line], descriptors)
        except ConnectionError:
            return  # it has ended, and `receive` tells how
        except OSError:
            sent = 0
        if sent != len(line):
            raise self._death("worker_crashed", "it does not listen to its commands")

    async def receive(self) -> protocol.Reply:
        """The next reply about a task.

        Raises:
            WorkerDied: it ended, or sends what is no reply.
        """
        reply: protocol.Reply = await self._hear(protocol.decode_reply)
        self._ready = self._ready or isinstance(reply, protocol.Ready)
        if isinstance(reply, protocol.Heartbeat):  # what the kernel killed long ago was another
            self._oom_kills, self._latest_oom_kills = self._latest_oom_kills, oom.kills()
        return reply

    async def receive_of_pull(self) -> protocol.PullReply:
        """The next reply about a pull; raises like `receive`."""
        reply: protocol.PullReply = await self._hear(protocol.decode_pull_reply)
        return reply

    async def _hear(self, decode: Callable[[bytes], T]) -> T:
        try:
            return decode(await self._replies.readuntil())
        except asyncio.IncompleteReadError:  # it ended; what it died of is soon known
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), LAST_MOMENTS)
            await self._bury()
            raise self._death() from None
        except (asyncio.LimitOverrunError, msgspec.DecodeError) as error:
            self._printed.tell(f"what it sent is no reply: {error}", time.monotonic())
            await self._bury()
            raise self._death() from error

    async def kill(self) -> None:
        """End it, whatever it does, and wait until it is gone: but not for ever.

        A process that waits for a share whose server has gone dies only when that answers.
        """
        if self._end is None:
            self._end = asyncio.create_task(self._kill())
        await asyncio.shield(self._end)

    async def _bury(self) -> None:
        self._died = True
        await self.kill()

    async def _kill(self) -> None:
        self._killed = self.alive
        # Not Popen.kill(): that one looks for the exit status, and takes it away from asyncio.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        try:
            await asyncio.wait_for(self._process.wait(), DYING)
        except TimeoutError:
            ended = False
            self._listening.cancel()
            log.warning(
                "worker %s, pid %d, can't be ended yet: it waits for a disk or a share;"
                " check the inbox of its recording",
                *(self.name, self.pid),
            )
        else:
            ended = True
        os.close(self._pidfd)
        self._pidfd = -1
        self._transport.close()
        self._commands.close()
        await asyncio.wait({self._listening})
        self._child.close()
        if ended and not self._died:
            log.info("worker %s ended, pid %d", self.name, self.pid)

    async def _listen(self) -> None:
        """Hear what it prints, however much that is."""
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 - for the type checker
        chunk = b"\n"
        while chunk:
            try:
                async with asyncio.timeout(QUIET if self._printed.left_out else None):
                    chunk = await stderr.read(HEARD)
            except TimeoutError:
                self._printed.catch_up()
            else:
                self._printed.hear(chunk, time.monotonic())
        self._printed.end(time.monotonic())

    async def stalled(self, why: str) -> WorkerDied:
        """Kill it, since it hangs; what that is to be recorded as."""
        await self._bury()
        return self._death("worker_stalled", why)

    def _death(self, failure: str = "worker_crashed", why: str = "") -> WorkerDied:
        status, stderr = self._process.returncode or 0, "\n".join(self._printed.tail)
        sent = -status in SENT and not self._killed
        if not self._ready and not self._diarizes:
            failure = "no_worker"
        elif not self._ready and not sent:  # which need not concern those that only transcribe
            failure = "diarizer_missing"
            why = f"{why or 'it ended'} while it loaded: see the journal"
        elif sent:
            failure = "worker_killed"
            if status == -signal.SIGKILL and oom.kills() > self._oom_kills:
                failure, why = "out_of_memory", OOM_KILLER
        death = WorkerDied(status, stderr, failure, why)
        self._tell_death(str(death))
        return death

    def tell_idle_death(self) -> None:
        """Log that it has ended by itself, if it has, while it had nothing to do."""
        if self._end is None:
            self._died = True
            self._tell_death("it ended while it was idle")

    def _tell_death(self, why: str) -> None:
        extra = {"event": Event.WORKER_DIED}
        log.warning("worker %s died, pid %d: %s", self.name, self.pid, why, extra=extra)
