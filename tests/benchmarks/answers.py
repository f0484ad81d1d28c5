"""How soon client and API answer, and the events come, idle and while two workers are busy.

Each figure is taken beside another one of the same minute: the client beside the bare interpreter,
the busy daemon beside itself before the work, a hundred readers beside one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from datetime import datetime
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import arrivals
import bench
import recordings
from daemons import Daemon
from stored import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PYTHON = (bench.BIN / "python", "-c", "pass")
STATUS = (bench.BIN / "scriberrctl", "status")
LIST = (bench.BIN / "scriberrctl", "list", "--limit", "1000")
AIM = 6  # times the bare interpreter
WORKERS = 2
ASKED = ("health", "status", "jobs/500", "jobs?limit=100")
CLIENTS = (1, 8)  # that ask at once
READERS = (1, 100)
PATIENCE = 120.0  # seconds


class Sizes(NamedTuple):
    stored: int  # finished jobs
    runs: int  # of each command
    seconds: float  # that each endpoint is asked for
    files: int  # that come while the events are read
    minutes: int  # of the recordings that keep the workers busy


def took(command: Iterable[Any], socket: Path) -> float:
    """How long a command of a client takes; seconds."""
    began = time.perf_counter()
    environment = os.environ | {"SCRIBERRD_SOCKET": str(socket)}
    subprocess.run(list(command), check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def commands(it: Daemon, runs: int) -> list[list[float]]:
    """The times of the bare interpreter, of `status` and of `list`, taken in turns."""
    turns = [[took(one, it.socket) for one in (PYTHON, STATUS, LIST)] for _ in range(runs + 1)]
    return [list(times) for times in zip(*turns[1:], strict=True)]


async def asked(socket: Path, path: str, seconds: float) -> list[float]:
    """How long each answer took to one client that asks again and again."""
    times = []
    reader, writer = await asyncio.open_unix_connection(socket)
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        writer.write(f"GET /v1/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200 "), head
        await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
        times.append(time.perf_counter() - began)
    writer.close()
    return times


async def answers(it: Daemon, seconds: float) -> dict[tuple[str, int], list[float]]:
    """The times of all answers, by what was asked for and by how many clients at once."""
    found = {}
    for path in ASKED:
        for clients in CLIENTS:
            asking = (asked(it.socket, path, seconds) for _ in range(clients))
            found[path, clients] = sorted(chain.from_iterable(await asyncio.gather(*asking)))
    return found


class Told(NamedTuple):
    """What a reader of the events was told."""

    ids: list[str]
    delays: list[float]  # seconds from what happened to its event


async def read(socket: Path, first: asyncio.Semaphore, count: int) -> Told:
    """Follow the events until so many recordings have been submitted."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
    writer.write(b"GET /v1/events HTTP/1.0\r\n\r\n")  # as it is, not in chunks
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    await reader.readuntil(b":\n\n")  # the first heartbeat
    first.release()
    told, left = Told([], []), count
    while left:
        line = await reader.readuntil(b"\n")
        if line.startswith(b"data: "):
            now, event = time.time(), json.loads(line[6:])
            told.ids.append(event["cursor"])
            told.delays.append(now - datetime.fromisoformat(event["at"]).timestamp())
            left -= event["type"] == "submitted"
    writer.close()
    return told


async def followed(it: Daemon, readers: int, count: int, start: int) -> list[Told]:
    """What readers are told while files come."""
    there = asyncio.Semaphore(0)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        reading = [group.create_task(read(it.socket, there, count)) for _ in range(readers)]
        for _ in range(readers):
            await there.acquire()
        await asyncio.to_thread(arrivals.drop, it.inbox, count, start)
    return [one.result() for one in reading]


def work(it: Daemon, minutes: int) -> None:
    """Have every worker busy, for as long as it is measured."""
    it.drop([recordings.long(minutes + 2 * number)[0] for number in range(WORKERS)])
    bench.until(lambda: busy(it), within=PATIENCE)


def busy(it: Daemon) -> bool:
    """Whether every worker transcribes."""
    stages = [job["stage"] for job in it.ask("status")["processing"]]
    return stages == ["transcribing"] * WORKERS


def late(times: Sequence[float], share: float = 0.99) -> float:
    return sorted(times)[int(len(times) * share)]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def command_rows(when: str, times: list[list[float]]) -> list[list[str]]:
    bare, *ours = (median(one) for one in times)
    names = ("`scriberrctl status`", "`scriberrctl list --limit 1000`")
    return [
        [name, when, ms(one), ms(bare), f"{one / bare:.1f}"]
        for name, one in zip(names, ours, strict=True)
    ]


def answer_row(asked: tuple[str, int], seconds: float, both: Sequence[list[float]]) -> list[str]:
    idle, loaded = (len(times) / seconds for times in both)
    ratio = f"{loaded / idle:.2f}"
    lates = [ms(late(times)) for times in both]
    return [f"/v1/{asked[0]}", str(asked[1]), f"{idle:.0f}", f"{loaded:.0f}", ratio, *lates]


def told_row(readers: list[Told]) -> list[str]:
    ids = {tuple(one.ids[-len(readers[0].ids) :]) for one in readers}
    delays = [seconds for one in readers for seconds in one.delays]
    figures = ms(median(delays)), ms(late(delays)), ms(max(delays))
    return [str(len(readers)), str(len(readers[0].ids)), "yes" if len(ids) == 1 else "NO", *figures]


def main(*, quick: bool) -> None:
    sizes = Sizes(1000, 3, 0.5, 50, 60) if quick else Sizes(100_000, 20, 3.0, 1000, 600)
    it = Daemon(bench.fresh("answers"), count=WORKERS)
    fill(it, sizes.stored)
    with it:
        idle = commands(it, sizes.runs), asyncio.run(answers(it, sizes.seconds))
        work(it, sizes.minutes)
        loaded = commands(it, sizes.runs), asyncio.run(answers(it, sizes.seconds))
        told = [
            asyncio.run(followed(it, readers, sizes.files, number * sizes.files))
            for number, readers in enumerate(READERS)
        ]
        if not busy(it):
            raise RuntimeError("the workers had finished before all was measured")
    head = ["command", "daemon", "median", "`python -c pass`", f"ratio (aim: under {AIM})"]
    title = f"Client, {sizes.stored:,} jobs stored: medians of {sizes.runs} turns"
    rows = command_rows("idle", idle[0]) + command_rows("two workers busy", loaded[0])
    bench.table(title, head, rows)
    print(
        f"\n### Answers of the API, {sizes.stored:,} jobs stored, idle and with two workers busy\n"
    )
    rates = ("a second, idle", "a second, busy", "ratio")
    lates = ("99 % within, idle", "99 % within, busy")
    rows = [answer_row(one, sizes.seconds, (idle[1][one], loaded[1][one])) for one in idle[1]]
    bench.aligned(("what", "clients at once", *rates, *lates), rows)
    print(f"\n### Events while {sizes.files:,} files come at once and two workers are busy\n")
    times = ("after it happened: median", "99 % within", "at most")
    head = ["readers", "events", "all got all", *times]
    bench.aligned(head, [told_row(one) for one in told])


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
