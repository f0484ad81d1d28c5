"""`scriberrd demo`: the whole way of a few recordings, for people to watch."""

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

HUB = "https://huggingface.co"
HUB_PATIENCE = 3.0  # seconds
START_PATIENCE = 30.0  # seconds
LOAD_PATIENCE = 60.0  # seconds
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
"""


def run(recordings: Sequence[Path]) -> int:
    """Show it; the exit status of the command."""
    _check(recordings)
    engine, why = choose_engine()
    click.secho(f"engine: {engine}, {why}", bold=True)
    with tempfile.TemporaryDirectory(prefix="scriberrd-demo-") as folder:
        root = Path(folder)
        for name in ("inbox", "transcripts"):
            (root / name).mkdir()
        (root / "scriberrd.toml").write_text(CONFIG.format(engine=engine))
        with _daemon(root):
            click.secho(f"a daemon watches {root / 'inbox'}", bold=True)
            for recording in recordings:
                shutil.copy(recording, root / "inbox")
                click.echo(f"  dropped in: {recording.name}")
            jobs = _jobs(root, len({recording.name for recording in recordings}))
            status = _ctl(root, "wait", *(str(job["id"]) for job in jobs)).wait()
            for job in jobs:
                click.secho(f"\n{job['path']}", bold=True)
                if _ctl(root, "transcript", str(job["id"]), "--format", "txt").wait() == 0:
                    continue
        click.secho(
            f"\nthe daemon has stopped; what it wrote to {root / 'transcripts'}:", bold=True
        )
        for path in sorted((root / "transcripts").rglob("*")):
            if path.is_file():
                click.echo(f"  {path.relative_to(root)}  {path.stat().st_size} bytes")
    click.echo("(the folder is gone now: this was a demonstration)")
    return status


def choose_engine() -> tuple[str, str]:
    """The best engine that can be had within seconds, and why it is that one."""
    if _cached():
        if _loads():
            return "faster-whisper", "with the model base, which is in the cache"
        broken = "the model in the cache can't be loaded"
        return _offline(f"since {broken}: remove {_hub() / MODEL}")
    try:
        with urllib.request.urlopen(HUB, timeout=HUB_PATIENCE):
            return "faster-whisper", "with the model base, which is downloaded now, once"
    except (OSError, ValueError):
        hint = "for Whisper, which is far better: run this again where huggingface.co answers"
    return _offline(f"since the hub does not answer and no model is in the cache; {hint}")


def _offline(why: str) -> tuple[str, str]:
    if importlib.util.find_spec("pocketsphinx") is None:
        click.echo(f"no Whisper, {why}; nor is pocketsphinx there:", err=True)
        click.echo("  pip install 'scriberrd[offline]'", err=True)
        sys.exit(1)
    return "offline", why


def _hub() -> Path:
    home = os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def _cached() -> bool:
    return any(_hub().glob(f"{MODEL}/snapshots/*/model.bin"))


def _loads() -> bool:
    # In a process of its own, since a broken model may cost it its life.
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
                f"{str(recording)!r} is not named as a recording; allowed: {', '.join(EXTENSIONS)}"
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
    """The jobs about what was dropped in, once the daemon has noticed."""
    deadline = time.monotonic() + START_PATIENCE
    jobs: list[dict[str, Any]] = []
    while len(jobs) < number and time.monotonic() < deadline:
        time.sleep(0.1)
        with _ctl(root, "--json", "list", stdout=subprocess.PIPE) as asking:
            answer, _ = asking.communicate()
        jobs = [json.loads(line) for line in answer.splitlines()]
    return sorted(jobs, key=lambda job: int(job["id"]))
