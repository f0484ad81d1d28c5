"""The real program on a folder of its own: started, asked, broken and watched as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import psutil

from scriberrctl.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parent
AUDIO = TESTS.parent / "test-audio"
TALK = TESTS / "talk.opus"  # the first minute of dialogue.opus, cut where a page of Ogg begins
MODEL = TESTS / "models/whisper-flite/model"
BIN = Path(sys.executable).parent
DEADLINE = 120.0  # seconds: far more than anything here takes

CONFIG = """
[daemon]
state_dir = "state"
socket = "{socket}"
rescan = "1s"
log_level = "debug"
stop_timeout = "{stop_timeout}"
[[inbox]]
name = "main"
path = "inbox"
output = "out"
watch = "{watch}"
settle = "0.2s"
[profile.default]
engine = "{engine}"
model = "{model}"
block_seconds = {block_seconds}
formats = {formats}
vad = {vad}
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
count = {count}
threads = {threads}
{worker}
hours = "{hours}"
heartbeat_timeout = "{heartbeat_timeout}"
stall_timeout = "{stall_timeout}"
idle_unload = "{idle_unload}"
[retry]
backoff = "{backoff}"
{retry}
"""
DEFAULTS = {
    "engine": "fake",
    "model": "ok",
    "block_seconds": 10,
    "count": 1,
    "threads": 1,
    "hours": "",
    "heartbeat_timeout": "60s",
    "stall_timeout": "600s",
    "idle_unload": "300s",
    "calm": "ok",
    "profile": "",  # lines more, of the tables of these names
    "worker": "",
    "retry": "",
    "stop_timeout": "30s",
    "backoff": "0.1s",
    "formats": '["json", "txt", "srt", "vtt"]',
    "watch": "inotify",  # whatever the file system of the tests
    "vad": "true",
}


def wait_for(condition: Callable[[], Any], what: str | Callable[[], str]) -> Any:
    """What the condition gives once it is true; fails when it never is."""
    began = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - began
        if waited > DEADLINE:
            raise AssertionError(f"waited in vain: {what if isinstance(what, str) else what()}")
        time.sleep(min(0.01 + waited / 20, 0.1))  # what takes long is not asked for all the time
    return found


class Program:
    """A daemon, its folders and its client."""

    def __init__(self, root: Path, **settings: object) -> None:
        self.root, self.inbox, self.out = root, root / "inbox", root / "out"
        for name in ("inbox", "out", "calm", "calm-out"):
            (root / name).mkdir()
        self.socket = root / "s"
        self.config = root / "scriberrd.toml"
        self.settings = DEFAULTS | settings | {"socket": self.socket}
        self.config.write_text(CONFIG.format_map(self.settings))
        self.daemon: subprocess.Popen[bytes] | None = None
        self.log = root / "log"
        self.stdin = subprocess.DEVNULL  # or a terminal
        self.command = ["run"]
        self.client = [BIN / "scriberrctl", "--socket", self.socket]
        self.dropped: dict[bytes, bytes] = {}  # what each file of the inbox should be

    @property
    def ask(self) -> Client:
        """The client without a process of its own: to poll."""
        return Client(str(self.socket))

    def start(self, *prefix: str | Path, **environment: str) -> None:
        """Start the daemon, and wait until it is ready."""
        ready = self.said(" is ready") + 1
        self.launch(*prefix, **environment)
        wait_for(lambda: self.said(" is ready") >= ready or self.dead(), "ready")
        assert not self.dead(), self.log.read_text()

    def launch(self, *prefix: str | Path, **environment: str) -> None:
        """Start the daemon, through the command `prefix` if there is one."""
        ours = {
            "PYTHONPATH": str(TESTS / "fake_engine"),
            "SCRIBERRD_FAKE_STATE": str(self.root / "fake-state"),
            **({"SCRIBERRD_FAKE_VOICES": "1"} if self.settings["engine"] == "fake" else {}),
            "STATE_DIRECTORY": str(self.root / "state"),
            "PYTHONWARNINGS": "error",
            "SSL_CERT_FILE": os.devnull,  # aiohttp reads all of them when it is imported
        }
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                [*prefix, BIN / "scriberrd", *self.command, "--config", self.config],
                env=os.environ | ours | environment,
                cwd=self.root,
                stdin=self.stdin,
                stdout=log,
                stderr=log,
            )

    def dead(self) -> bool:
        """Whether there is no daemon, or not any more."""
        return self.daemon is None or self.daemon.poll() is not None

    def said(self, text: str) -> int:
        """How often the log has this."""
        return self.log.read_text().count(text) if self.log.exists() else 0

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the daemon; its exit status. Its workers end with it."""
        assert self.daemon is not None
        self.daemon.send_signal(number)
        return self.wait_dead()

    def wait_dead(self) -> int:
        """The exit status of a daemon that ends by itself, or of what was done to it."""
        assert self.daemon is not None
        try:
            status = self.daemon.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.daemon.kill()  # it must not outlive its test
            raise
        self.daemon = None
        wait_for(lambda: not self.processes(), "no orphans")
        return status

    def processes(self) -> list[psutil.Process]:
        """The daemon and all that came of it, orphans too: they share a working directory."""
        found = []
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError, psutil.Error):
                if os.readlink(f"/proc/{pid}/cwd") == str(self.root):
                    found.append(psutil.Process(int(pid)))
        return found

    def workers(self) -> list[psutil.Process]:
        """The living workers of the daemon."""
        if self.daemon is None:
            return []
        try:
            children = psutil.Process(self.daemon.pid).children()
        except psutil.NoSuchProcess:
            return []
        found = []
        for child in children:
            with contextlib.suppress(psutil.Error):  # one that has just died
                if "scriberrd.worker" in child.cmdline():
                    found.append(child)
        return found

    def drop(self, source: Path | bytes, name: str | bytes) -> None:
        """Copy a file into the inbox, as people do."""
        content = source if isinstance(source, bytes) else source.read_bytes()
        path = os.path.join(os.fsencode(self.inbox), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        self.dropped[os.fsencode(name)] = content

    def ctl(self, *arguments: object, status: int = 0) -> Any:
        """What the client gives as JSON."""
        match arguments:
            case ("status",):  # asked often, so without a process for each time
                return self.ask.status()
            case ("show", int(id_)):
                return {**self.ask.job(id_), "executions": self.ask.executions(id_)}
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
        page = self.ask.jobs(limit=1000)
        assert page["next"] is None
        return [dict(job) for job in reversed(page["jobs"])]

    def job(self, name: str) -> dict[str, Any] | None:
        """The newest job about a file."""
        return next((job for job in reversed(self.jobs()) if job["path"] == name), None)

    def wait(self, name: str, *states: str) -> dict[str, Any]:
        """The job about a file, once it is in one of these states."""

        def reached() -> dict[str, Any] | None:
            job = self.job(name)
            return job if job is not None and job["state"] in states else None

        found: dict[str, Any] = wait_for(reached, lambda: f"{name} {states}: {self.jobs()}")
        return found

    def underway(self, name: str, seconds: float) -> None:
        """Wait until so much of a recording is done."""
        wait_for(
            lambda: ((self.job(name) or {}).get("progress") or {}).get("seconds", 0) >= seconds,
            f"{seconds} s of {name}",
        )

    def outage(self) -> dict[str, Any]:
        """What is paused because the machine is at fault, once something is."""
        (found,) = wait_for(lambda: self.ctl("status")["outages"], "an outage")
        return dict(found)

    def transcript(self, name: str) -> dict[str, Any]:
        """A published transcript."""
        found: dict[str, Any] = json.loads((self.out / name).read_bytes())
        return found

    def events(self, type_: str) -> list[Any]:
        """The data of all events of a type, from the database."""
        path = str(self.root / "state/scriberrd.db")
        with contextlib.closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)) as db:
            rows = db.execute("SELECT json(data) FROM event WHERE type = ? ORDER BY id", (type_,))
            return [json.loads(data) for (data,) in rows]

    def files(self) -> list[str]:
        """All published files."""
        return sorted(
            os.fsencode(path.relative_to(self.out)).decode("utf-8", "backslashreplace")
            for path in self.out.rglob("*")
            if path.is_file()
        )
