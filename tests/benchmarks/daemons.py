"""A daemon to measure: with a folder, an inbox, a database and a socket of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import psutil
from bench import BIN, MODEL, until, written

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CONFIG = """\
[daemon]
state_dir = "{folder}/state"
socket = "{folder}/sock"
auto_download = false
[[inbox]]
name = "bench"
path = "inbox"
output = "transcripts"
settle = 0
watch = "inotify"
[profile.default]
model = "{model}"
language = "en"
{profile}
[[worker]]
name = "cpu"
device = "cpu"
{workers}
"""


class Daemon:
    def __init__(
        self,
        folder: Path,
        *,
        threads: int | None = 1,
        count: int = 1,
        model: Path | str = MODEL,
        profile: str = "",
    ) -> None:
        self.folder, self.inbox, self.output = folder, folder / "inbox", folder / "transcripts"
        self.socket = folder / "sock"
        self.inbox.mkdir(exist_ok=True)
        self.output.mkdir(exist_ok=True)
        (folder / "state").mkdir(mode=0o700, exist_ok=True)
        workers = f"count = {count}\nthreads = {threads}" if threads else ""  # or the defaults
        config = CONFIG.format(folder=folder, model=model, workers=workers, profile=profile)
        (folder / "scriberrd.toml").write_text(config)
        self.environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
        self.ready_after = 0.0  # seconds from its start to its first answer

    def __enter__(self) -> Self:
        command = [BIN / "scriberrd", "run", "-c", self.folder / "scriberrd.toml"]
        began = time.perf_counter()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env=self.environment)
        until(lambda: self.ask("health"), within=60, every=0.002)
        self.ready_after = time.perf_counter() - began
        until(lambda: self.ask("status")["inboxes"][0]["state"] != "starting", within=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()

    def ask(self, what: str) -> Any:
        """What the API says; None when it does not answer."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        with socket.socket(socket.AF_UNIX) as connection.sock:
            try:
                connection.sock.connect(str(self.socket))
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                return None
            connection.request("GET", f"/v1/{what}")
            return json.loads(connection.getresponse().read())

    def drop(self, files: Iterable[Path]) -> float:
        """Bring copies of the files into the inbox, all in one moment: that moment."""
        staged = self.folder / "staged"
        staged.mkdir()
        for file in files:
            shutil.copy(file, staged)
        os.sync()
        moment = time.time()
        staged.rename(self.inbox / "all")
        return moment

    def published(self, count: int, *, within: float) -> float:
        """Wait for the transcripts of what was dropped: when the last came into its place."""
        deadline = time.monotonic() + within
        while True:
            with suppress(TimeoutError):
                return written(self.output / "all", count, within=10)
            # Asked for seldom: it is being measured.
            if self.ask("status")["jobs"]["failed"] or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())

    def cpu(self) -> float:
        """Seconds that its processes have computed."""
        return sum(sum(one.cpu_times()[:2]) for one in family(self.process.pid))


def family(pid: int) -> list[psutil.Process]:
    """A process and its children."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
