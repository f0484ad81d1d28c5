"""What goes on while another process holds the write lock of the database."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING

import bench
from answers import STATUS, took
from daemons import Daemon

from scriberrd.errors import DatabaseBusy
from scriberrd.queue.store import Store, probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TICK = 0.05  # seconds
HOLDER = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(database: Path) -> Iterator[None]:
    """Let another process hold the lock."""
    command = [sys.executable, "-c", HOLDER, database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


async def ticks(database: Path) -> float:
    """The longest that an event loop did not come round while its store waited; seconds."""
    opened, longest = Store(database), 0.0
    with held(database):
        waiting = asyncio.create_task(opened.run(probe))
        last = time.perf_counter()
        while not waiting.done():
            await asyncio.sleep(TICK)
            last, before = time.perf_counter(), last
            longest = max(longest, last - before)
        assert isinstance(waiting.exception(), DatabaseBusy)
    opened.close()
    return longest


def pause(it: Daemon) -> int:
    """Ask for something that has to be written: the status of the answer."""
    connection = http.client.HTTPConnection("localhost", timeout=60)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(it.socket))
        connection.request("POST", "/v1/pause", body=b"{}")
        return connection.getresponse().status


def statuses(it: Daemon) -> list[float]:
    """How long `scriberrctl status` takes while a write waits for the lock; seconds."""
    times = []
    with held(it.folder / "state/scriberrd.db"), ThreadPoolExecutor(1) as others:
        writing = others.submit(pause, it)
        while not writing.done():
            times.append(took(STATUS, it.socket))
        assert writing.result() == http.HTTPStatus.SERVICE_UNAVAILABLE
    return times


def main(*, quick: bool) -> None:
    rounds = 1 if quick else 5
    folder = bench.fresh("lock")
    longest = [asyncio.run(ticks(folder / "queue.db")) for _ in range(rounds)]
    with Daemon(bench.fresh("locked")) as it:
        took(STATUS, it.socket)
        free = [took(STATUS, it.socket) for _ in range(10 * rounds)]
        times = [seconds for _ in range(rounds) for seconds in statuses(it)]
    rows = [
        (f"between two ticks of {TICK * 1000:.0f} ms: the longest", _ms(max(longest)), "100 ms"),
        ("`scriberrctl status`: median", _ms(median(times)), "200 ms"),
        ("`scriberrctl status`: the longest", _ms(max(times)), ""),
        ("`scriberrctl status` without the lock: median", _ms(median(free)), ""),
    ]
    title = "While another process holds the write lock, and a write waits for it"
    bench.table(title, ("what", "measured", "aim: under"), rows)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
