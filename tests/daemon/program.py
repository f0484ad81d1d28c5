"""The real program on a folder of its own: started, asked, broken and watched as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parent.parent
AUDIO = TESTS.parent / "test-audio"
MODEL = TESTS / "models/whisper-flite/model"
BIN = Path(sys.executable).parent
DEADLINE = 60.0  # seconds: far more than anything here takes

CONFIG = """
[daemon]
state_dir = "state"
socket = "{socket}"
rescan = "1s"
log_level = "debug"
[[inbox]]
name = "main"
path = "inbox"
output = "out"
settle = "0.2s"
[profile.default]
engine = "{engine}"
model = "{model}"
block_seconds = {block_seconds}
{profile}
[[inbox]]
name = "calm"
path = "calm"
output = "calm-out"
settle = "0.2s"
profile = "calm"
[profile.calm]
engine = "fake"
model = "{calm}"
block_seconds = 10
[[worker]]
name = "cpu"
threads = 1
count = {count}
{worker}
hours = "{hours}"
heartbeat_timeout = "{heartbeat_timeout}"
stall_timeout = "{stall_timeout}"
idle_unload = "{idle_unload}"
[retry]
backoff = "0.1s"
{retry}
"""
DEFAULTS = {
    "engine": "fake",
    "model": "ok",
    "block_seconds": 10,
    "count": 1,
    "hours": "",
    "heartbeat_timeout": "60s",
    "stall_timeout": "600s",
    "idle_unload": "300s",
    "calm": "ok",
    "profile": "",  # lines more, of the tables of these names
    "worker": "",
    "retry": "",
}


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """What the condition gives once it is true; fails when it never is."""
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
    return found


class Program:
    """A daemon, its folders and its client."""

    def __init__(self, root: Path, **settings: object) -> None:
        self.root, self.inbox, self.out = root, root / "inbox", root / "out"
        for name in ("inbox", "out", "calm", "calm-out"):
            (root / name).mkdir()
        self.socket = root / "s"
        self.config = root / "scriberrd.toml"
        values = DEFAULTS | settings | {"socket": self.socket}
        self.config.write_text(CONFIG.format_map(values))
        self.daemon: subprocess.Popen[bytes] | None = None
        self.log = root / "log"
        self.client = [BIN / "scriberrctl", "--socket", self.socket]

    def start(self, *prefix: str, **variables: str) -> None:
        """Start the daemon, through the command `prefix` if there is one."""
        environment = (
            os.environ
            | variables
            | {
                "PYTHONPATH": str(TESTS / "fake_engine"),
                "SCRIBERRD_FAKE_STATE": str(self.root / "fake-state"),
                "STATE_DIRECTORY": str(self.root / "state"),
                "PYTHONWARNINGS": "error",
            }
        )
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                [*prefix, BIN / "scriberrd", "run", "--config", self.config],
                env=environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        ready = self.log.read_text().count(" is ready") + 1
        wait_for(lambda: self.log.read_text().count(" is ready") >= ready or self._dead(), "ready")
        assert not self._dead(), self.log.read_text()

    def _dead(self) -> bool:
        return self.daemon is None or self.daemon.poll() is not None

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.daemon is not None
        workers = self.workers()
        self.daemon.send_signal(number)
        status = self.daemon.wait(DEADLINE)
        self.daemon = None
        _, alive = psutil.wait_procs(workers, DEADLINE)
        assert not alive, "orphans"
        return status

    def workers(self) -> list[psutil.Process]:
        if self.daemon is None:
            return []
        try:
            children = psutil.Process(self.daemon.pid).children()
        except psutil.NoSuchProcess:
            return []
        return [child for child in children if "scriberrd.worker" in child.cmdline()]

    def drop(self, source: Path | bytes, name: str | bytes) -> None:
        """Copy a file into the inbox, as people do."""
        content = source if isinstance(source, bytes) else source.read_bytes()
        path = os.path.join(os.fsencode(self.inbox), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def ctl(self, *arguments: object, status: int = 0) -> Any:
        """Ask the client, and read its JSON."""
        done = subprocess.run(
            [*self.client, "--json", *map(str, arguments)],
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == status, done
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, oldest first."""
        found = self.ctl("list")
        found = found if isinstance(found, list) else found.get("jobs", [found])
        return sorted(found, key=lambda job: job["id"])

    def job(self, name: str) -> dict[str, Any] | None:
        """The newest job about a file."""
        return next((job for job in reversed(self.jobs()) if job["path"] == name), None)

    def wait(self, name: str, *states: str) -> dict[str, Any]:
        """The job about a file, once it is in one of these states."""

        def reached() -> dict[str, Any] | None:
            job = self.job(name)
            return job if job is not None and job["state"] in states else None

        found: dict[str, Any] = wait_for(reached, f"{name} {states}: {self.jobs()}")
        return found

    def transcript(self, name: str) -> dict[str, Any]:
        """A published transcript."""
        found: dict[str, Any] = json.loads((self.out / name).read_bytes())
        return found

    def files(self) -> list[str]:
        """All published files."""
        return sorted(
            os.fsencode(path.relative_to(self.out)).decode("utf-8", "backslashreplace")
            for path in self.out.rglob("*")
            if path.is_file()
        )
