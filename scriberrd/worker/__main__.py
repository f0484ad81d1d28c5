"""The worker process: `python -m scriberrd.worker COMMAND_FD REPLY_FD`.

Commands come over a Unix stream socket, a `Task` or `Diarize` with its recording as a descriptor,
or a `Pull`; replies go into a pipe. The end of the socket means that the daemon is gone: the
process exits at once, whatever it is doing. Exit statuses: 0 the daemon is gone, 76 an invalid
command, 78 the process may not do what its libraries need (see `may_make_code`).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections import deque
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from scriberrd.protocol import (
    Command,
    Diarize,
    Failed,
    Pull,
    PullReply,
    Reply,
    Task,
    decode_command,
    encode,
)
from scriberrd.worker import environment
from scriberrd.worker.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Orders = queue.SimpleQueue[Run[Task | Diarize] | Pull]
    Send = Callable[[Reply | PullReply], None]
    Perform = Callable[[Run[Any]], Reply]

BEAT = 1.0  # seconds
CHUNK = 65536  # bytes read at a time
EX_PROTOCOL, EX_CONFIG = 76, 78  # exit statuses, from sysexits.h
PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def main() -> NoReturn:
    """Work off tasks until the daemon is gone or kills us."""
    command_fd, reply_fd = (int(argument) for argument in sys.argv[1:])
    settle_in()
    orders: Orders = queue.SimpleQueue()
    send = replier(reply_fd)
    connection = socket.socket(fileno=command_fd)
    threading.Thread(target=listen, args=(connection, orders, send), daemon=True).start()
    work(orders, send)


def settle_in() -> None:
    """Prepare this process for native libraries."""
    os.dup2(2, 1)  # what they print goes to the journal
    # The daemon handles Ctrl-C and a closed terminal.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # If the daemon died before this line, the socket is closed already.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not may_make_code():
        sys.stderr.write(
            "scriberrd worker: memory can't be both written and run, so transcripts would be wrong:"
            " set MemoryDenyWriteExecute=no\n"
        )
        sys.exit(EX_CONFIG)
    environment.prepare()


def may_make_code() -> bool:
    """Whether memory can be both written and run.

    If that is forbidden (for example by systemd's MemoryDenyWriteExecute=), CTranslate2 computes
    nonsense without an error, because it generates its kernels at run time.
    """
    try:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except OSError:
        return False
    return True


def replier(fd: int) -> Send:
    """A function that writes a reply as one whole line, from any thread."""
    lock = threading.Lock()

    def send(reply: Reply | PullReply) -> None:
        line = memoryview(encode(reply) + b"\n")
        with lock:
            while line:
                line = line[os.write(fd, line) :]

    return send


def commands(connection: socket.socket) -> Iterator[tuple[Command, int | None]]:
    """The daemon's commands in order, each `Task` or `Diarize` with its descriptor.

    A descriptor arrives at the latest with the first bytes of its line, and in the order of the
    lines, however the lines are split or joined on the way.
    """
    descriptors: deque[int] = deque()
    rest = b""
    while True:
        data, received, _, _ = socket.recv_fds(connection, CHUNK, 16, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        descriptors.extend(received)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            command = decode_command(line)
            takes = isinstance(command, Task | Diarize) and descriptors
            yield command, descriptors.popleft() if takes else None


def listen(connection: socket.socket, orders: Orders, send: Send) -> None:
    """Read commands (in a thread of its own); never returns."""
    status = EX_PROTOCOL
    try:
        latest: Run[Task | Diarize] | None = None
        for command, descriptor in commands(connection):
            if isinstance(command, Pull):
                orders.put(command)
            elif not isinstance(command, Task | Diarize):
                if latest is not None:
                    latest.heed(command)
            elif descriptor is None:
                detail = "the recording of the task is missing"
                send(
                    Failed(
                        job=command.job, lease=command.lease, code="internal_error", detail=detail
                    )
                )
            else:
                latest = Run(command, descriptor)
                orders.put(latest)
        status = 0
    except ConnectionError:
        status = 0
    except Exception:  # noqa: BLE001 - without this thread no command would be read
        traceback.print_exc()
    os._exit(status)


def work(orders: Orders, send: Send) -> NoReturn:
    """Do one task after the other, all of the same kind."""
    perform: Perform | None = None
    while True:
        run = orders.get()
        if isinstance(run, Pull):
            from scriberrd.worker import pull  # noqa: PLC0415 - as below

            send(pull.perform(run, send))
            continue
        with heartbeat(run, send):
            perform = perform or performer(run.task, send)
            last = perform(run)
        send(last)


def performer(task: Task | Diarize, send: Send) -> Perform:
    """What does all tasks of this kind.

    Imported when there is something to do: this takes a second or two. And only one of the two,
    because torch and CTranslate2 bring libraries along that do not bear each other.
    """
    if isinstance(task, Diarize):
        from scriberrd.worker import diarizing  # noqa: PLC0415

        return partial(diarizing.perform, kept=diarizing.kept(), send=send)
    from scriberrd.worker import task as transcription  # noqa: PLC0415

    return partial(transcription.perform, kept=transcription.kept(), send=send)


@contextmanager
def heartbeat(run: Run[Task | Diarize], send: Send) -> Iterator[None]:
    """Report every second how far `run` is."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            send(run.beat())

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
