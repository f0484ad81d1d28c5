"""How soon files are queued that come all at once, and what it costs to look after many."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bench
import psutil
from daemons import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = 10
PER_SECOND = 20  # requests for the status
MINUTE, MINUTES = 60.0, 2  # seconds that are measured, and how often: a rescan each


class Watched(Daemon):
    """A daemon that takes in files and transcribes none."""

    def __init__(self, folder: Path, watch: str) -> None:
        super().__init__(folder)
        file = folder / "scriberrd.toml"
        text = file.read_text().replace('watch = "inotify"', f'watch = "{watch}"')
        file.write_text(text.replace("settle = 0", 'settle = "1s"'))

    def pause(self) -> None:
        """Have nothing transcribed."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.connect(str(self.socket))
            connection.request("POST", "/v1/pause", body=b"{}")
            assert connection.getresponse().status == http.HTTPStatus.OK

    def queued(self) -> int:
        """How many recordings are queued."""
        return int(self.ask("status")["jobs"]["queued"])

    def memory(self) -> Iterator[str]:
        """What it takes now and has taken at most, in MB."""
        status = Path("/proc", str(self.process.pid), "status").read_text()
        for key in ("VmRSS", "VmHWM"):
            kilobytes = status.partition(f"{key}:")[2].split()[0]
            yield f"{int(kilobytes) / 1000:.0f} MB"


class Asking(threading.Thread):
    """Asks for the status again and again, as a client does."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(daemon=True)
        self._asked, self._ended = daemon, threading.Event()
        self.times: list[float] = []

    def run(self) -> None:
        while not self._ended.wait(1 / PER_SECOND):
            began = time.perf_counter()
            self._asked.ask("status")
            self.times.append(time.perf_counter() - began)

    def end(self) -> list[float]:
        self._ended.set()
        self.join()
        return sorted(self.times)


def drop(inbox: Path, count: int, start: int = 0) -> None:
    """Make files as `cp` does, each another one."""
    for number in range(FOLDERS):
        (inbox / str(number)).mkdir(exist_ok=True)
    for number in range(start, start + count):
        (inbox / str(number % FOLDERS) / f"{number}.wav").write_bytes(b"%d" % number)


def arrival(count: int) -> list[str]:
    with Watched(bench.fresh("arrivals"), "inotify") as it:
        it.pause()
        asking = Asking(it)
        asking.start()
        began = time.perf_counter()
        drop(it.inbox, count)
        made = time.perf_counter() - began
        bench.until(lambda: it.queued() == count, within=600, every=0.2)
        took = time.perf_counter() - began
        times = asking.end()
        late = times[int(len(times) * 0.99)]
        memory = list(it.memory())
    return [f"{count:,}", f"{made:.1f} s", f"{took:.1f} s", f"{late * 1000:.0f} ms", *memory]


def idle(count: int, watch: str) -> list[str]:
    """What it costs to look after files of which none changes."""
    with Watched(bench.fresh("arrivals"), watch) as it:
        it.pause()
        drop(it.inbox, count)
        bench.until(lambda: it.queued() == count, within=1200, every=0.5)
        process = psutil.Process(it.process.pid)
        costs = []
        time.sleep(MINUTE)  # what is queued is looked up once more
        for _ in range(MINUTES):
            before = sum(process.cpu_times()[:2])
            time.sleep(MINUTE)
            costs.append(sum(process.cpu_times()[:2]) - before)
        memory = list(it.memory())
    return [watch, f"{count:,}", *(f"{cost:.2f} s" for cost in costs), *memory]


def main(*, quick: bool) -> None:
    counts = (1000,) if quick else (10_000, 50_000)
    head = ("files", "made in", "all queued after", "`status`: 99 % within", "memory", "at most")
    title = 'Files that come all at once (`settle = "1s"`, nothing is transcribed meanwhile)'
    bench.table(title, head, [arrival(count) for count in counts])
    known = 1000 if quick else 100_000
    head = ("watch", "known files", *("processor time of a minute",) * MINUTES, "memory", "at most")
    rows = [idle(known, watch) for watch in ("inotify", "poll")]
    bench.table("An inbox in which nothing happens", head, rows)


if __name__ == "__main__":
    main(quick=bench.quick(__doc__))
