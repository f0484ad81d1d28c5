"""Whether speakers can be told apart is said before any recording needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from program import Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

PROFILE = 'diarize = "auto"\ndiarizer = "fake"\ndiarization_model = "{}"'


def diarizers(daemon: Program) -> list[dict[str, Any]]:
    """Those of the status, once they have been looked at."""

    def looked() -> list[dict[str, Any]]:
        found: Any = daemon.ask.status()["diarizers"]
        return [] if any(one["ready"] is None for one in found) else found

    found: list[dict[str, Any]] = wait_for(looked, "a look at the diarizers")
    return found


def check(daemon: Program) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": os.path.join(os.path.dirname(os.path.dirname(__file__)), "fake_engine")}
    return subprocess.run(
        [sys.executable, "-m", "scriberrd", "check", "--config", daemon.config],
        env=os.environ | path,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_diarizer_that_can_be_used_is_ready(program: Make) -> None:
    daemon = program(profile=PROFILE.format("ok"))
    assert diarizers(daemon) == [
        {"name": "fake", "model": "ok", "profiles": ["default"], "ready": True, "error": None}
    ]
    shown = subprocess.run([*daemon.client, "status"], capture_output=True, text=True, check=True)
    assert "speakers fake with ok: ready" in shown.stdout
    assert "warning" not in check(daemon).stderr


def test_what_is_missing_is_told_by_status_check_and_journal(program: Make) -> None:
    daemon = program(profile=PROFILE.format("refused"))
    (found,) = diarizers(daemon)
    assert not found["ready"]
    assert found["error"].startswith("the model hub refuses access to the diarization model: ")
    assert "accept its terms" in found["error"]
    assert daemon.said("speakers can't be told apart by fake: the model hub refuses")
    assert f"warning: profile.default.diarize: {found['error']}" in check(daemon).stderr


def test_another_configuration_is_looked_at_again(program: Make) -> None:
    daemon = program(profile=PROFILE.format("missing"))
    (found,) = diarizers(daemon)
    assert not found["ready"]
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace(PROFILE.format("missing"), PROFILE.format("ok")))
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)
    assert wait_for(
        lambda: [one["ready"] for one in diarizers(daemon)] == [True], "the new diarizer"
    )


def test_without_diarization_nothing_is_looked_at(program: Make) -> None:
    assert program().ask.status()["diarizers"] == []
