"""`scriberrd demo`: a few recordings from inbox to transcript, for people to watch."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scriberrd.config import EXTENSIONS
from scriberrd.inbox.rules import wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HUB_PATIENCE = 3.0  # seconds
START_PATIENCE = 30.0  # seconds
LOAD_PATIENCE = 60.0  # seconds
STALL = 60  # seconds without progress, also of a download, until the demo gives up
LOOK = 1.0  # seconds between two looks for outages
LOAD = (
    "from faster_whisper import WhisperModel;"
    "WhisperModel('base', device='cpu', compute_type='int8', local_files_only=True)"
)
MODEL = "models--Systran--faster-whisper-base"

CONFIG = """
[daemon]
state_dir = "state"
socket = "scriberrd.sock"
log_level = "warning"
[[inbox]]
name = "demo"
path = "inbox"
output = "transcripts"
settle = "0.5s"
[profile.default]
engine = "{engine}"
[[worker]]
name = "default"
stall_timeout = "{stall}s"
[retry]
attempts = 1
"""


def run(recordings: Sequence[Path]) -> int:
    """Run the demonstration, and return the exit status."""
    _check(recordings)
    engine, why = choose_engine()
    click.secho(f"engine: {engine}, {why}", bold=True)
    with tempfile.TemporaryDirectory(prefix="scriberrd-demo-") as folder:
        root = Path(folder)
        for name in ("inbox", "transcripts"):
            (root / name).mkdir()
        (root / "scriberrd.toml").write_text(CONFIG.format(engine=engine, stall=STALL))
        with _daemon(root):
            click.secho(f"a daemon watches {root / 'inbox'}", bold=True)
            for recording in recordings:
                shutil.copy(recording, root / "inbox")
                click.echo(f"  copied into it: {recording.name}")
            jobs = _jobs(root, len({recording.name for recording in recordings}))
            status = _wait(root, jobs)
            for job in jobs:
                click.secho(f"\n{job['path']}", bold=True)
                if _ctl(root, "transcript", str(job["id"]), "--format", "txt").wait() == 0:
                    continue
        click.secho(f"\nthe daemon has stopped; it wrote to {root / 'transcripts'}:", bold=True)
        for path in sorted((root / "transcripts").rglob("*")):
            if path.is_file():
                click.echo(f"  {path.relative_to(root)}  {path.stat().st_size} bytes")
    if engine == "faster-whisper" and not _cached():
        click.echo("the model is missing: its download stalled or was interrupted", err=True)
        click.echo("  run this command again to continue the download", err=True)
    click.echo("(this was a demonstration: the folder is deleted now)")
    return status


def choose_engine() -> tuple[str, str]:
    """The best engine that is available within seconds, and why it was chosen."""
    if _cached():
        if _loads():
            return "faster-whisper", "with the model base from the cache"
        return _offline(f"because the model in the cache can't be loaded: remove {_hub() / MODEL}")
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        with urllib.request.urlopen(hub, timeout=HUB_PATIENCE):  # noqa: S310 - the user's own word
            return "faster-whisper", "with the model base, which is downloaded now, once"
    except (OSError, ValueError):
        hint = f"run this again when {hub} is reachable: Whisper is far better"
    return _offline(f"because no model is in the cache and the hub is not reachable; {hint}")


def _offline(why: str) -> tuple[str, str]:
    if importlib.util.find_spec("pocketsphinx") is None:
        click.echo(f"can't use Whisper {why}", err=True)
        click.echo("or install pocketsphinx:\n  pip install 'scriberrd[offline]'", err=True)
        sys.exit(1)
    return "offline", why


def _hub() -> Path:
    home = os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def _cached() -> bool:
    return any(_hub().glob(f"{MODEL}/snapshots/*/model.bin"))


def _loads() -> bool:
    # In a process of its own: a broken model may crash it.
    command = [sys.executable, "-c", LOAD]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LOAD_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _check(recordings: Sequence[Path]) -> None:
    for recording in recordings:
        if not wanted(os.fsencode(recording.name), EXTENSIONS):
            raise click.UsageError(
                f"{str(recording)!r} has no extension of a recording: {', '.join(EXTENSIONS)}"
            )


@contextlib.contextmanager
def _daemon(root: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "scriberrd", "run", "--config", str(root / "scriberrd.toml")]
    with subprocess.Popen(command) as daemon:
        try:
            deadline = time.monotonic() + START_PATIENCE
            while not (root / "scriberrd.sock").exists():
                if daemon.poll() is not None or time.monotonic() > deadline:
                    click.echo("the daemon did not start", err=True)
                    sys.exit(1)
                time.sleep(0.05)
            yield
        finally:
            daemon.send_signal(signal.SIGTERM)


def _ctl(root: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    socket = str(root / "scriberrd.sock")
    return subprocess.Popen(
        [sys.executable, "-m", "scriberrctl", "--socket", socket, *arguments], **options
    )


def _jobs(root: Path, number: int) -> list[dict[str, Any]]:
    """The jobs of the recordings, once the daemon has noticed them."""
    deadline = time.monotonic() + START_PATIENCE
    jobs: list[dict[str, Any]] = []
    while len(jobs) < number and time.monotonic() < deadline:
        time.sleep(0.1)
        with _ctl(root, "--json", "list", stdout=subprocess.PIPE) as asking:
            answer, _ = asking.communicate()
        jobs = [json.loads(line) for line in answer.splitlines()]
    return sorted(jobs, key=lambda job: int(job["id"]))


def _wait(root: Path, jobs: Sequence[dict[str, Any]]) -> int:
    """Wait until the jobs have ended, and return the exit status.

    In an outage a daemon waits until somebody fixes it. Here nobody does, so it is an error.
    """
    with _ctl(root, "wait", *(str(job["id"]) for job in jobs)) as waiting:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return waiting.wait(LOOK)
            with _ctl(root, "--json", "status", stdout=subprocess.PIPE) as asking:
                answer, _ = asking.communicate()
            for outage in json.loads(answer or b"{}").get("outages", ()):
                waiting.terminate()
                error = outage["error"]
                click.echo(f"{error['message']}: {error['detail']}", err=True)
                return 1
