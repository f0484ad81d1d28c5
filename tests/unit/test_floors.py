"""What each entry point imports: the daemon must stay small, and the client quick."""

from __future__ import annotations

import subprocess
import sys

import pytest

NATIVE = {"torch", "ctranslate2", "onnxruntime", "av", "numpy", "faster_whisper", "pyannote"}
DAEMON = {"apsw", "aiohttp", "watchdog", "tomlkit", "msgspec", "prometheus_client"}
COMMANDS = (
    "status",
    "list",
    "show",
    "submit",
    "explain",
    "inbox",
    "rescan",
    "wait",
    "transcript",
    "cancel",
    "retry",
    "redo",
    "events",
)


def imported(code: str) -> set[str]:
    """The top-level packages that are loaded once `code` has run."""
    script = f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_daemon_imports_nothing_that_computes() -> None:
    loaded = imported("import scriberrd.daemon, scriberrd.cli, scriberrd.doctor.examine")
    assert loaded >= DAEMON
    assert not loaded & NATIVE


def test_a_worker_starts_without_the_daemon() -> None:
    assert not imported("import scriberrd.worker.task") & DAEMON - {"msgspec"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_client_starts_quickly(command: str) -> None:
    loaded = imported(f"import scriberrctl.cli, scriberrctl.client, scriberrctl.commands.{command}")
    assert not loaded & (NATIVE | DAEMON | {"scriberrd", "asyncio", "ssl"})


def test_help_of_the_daemon_starts_without_it() -> None:
    assert not imported("import scriberrd.cli") & (DAEMON | {"asyncio"})
