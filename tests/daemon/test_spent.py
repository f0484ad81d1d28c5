"""How long each part of a run took, as the API tells it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from program import AUDIO, BIN, Program

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SPEAKERS = 'diarize = "required"\ndiarizer = "fake"\ndiarization_model = "ok"'
PARTS = ("download_seconds", "load_seconds", "transcribe_seconds", "diarize_seconds")


def test_a_run_tells_what_its_seconds_went_into(program: Make) -> None:
    daemon = program(model="slow", profile=SPEAKERS)
    daemon.drop(AUDIO / "speech.opus", "one.opus")
    first = daemon.wait("one.opus", "completed")
    daemon.drop((AUDIO / "speech.opus").read_bytes() + b"0", "two.opus")
    second = daemon.wait("two.opus", "completed")
    for job, kept in ((first, False), (second, True)):  # the model is in memory by then
        (run,) = daemon.ctl("show", job["id"])["executions"]
        download, load, transcribe, diarize = (run[part] for part in PARTS)
        assert (run["model"], download) == ("slow", None)
        assert (load is None) == kept
        assert transcribe > 0
        assert diarize > 0
    stats = daemon.ctl("stats", "--since", "1h30m", "--by", "user")
    assert [(one["key"], one["completed"]) for one in stats["groups"]] == [(None, 2)]
    assert [(one["model"], one["runs"]) for one in stats["speeds"]] == [("slow", 2)]
    shown = subprocess.check_output(
        [BIN / "scriberrctl", "--socket", daemon.socket, "stats"], text=True
    )
    assert "x real time" in shown
    assert daemon.ctl("stats", "--since", "0s")["total"]["completed"] == 0
    daemon.ctl("stats", "--since", "a week", status=2)


def test_what_is_taken_from_the_library_took_nothing(program: Make) -> None:
    daemon = program()
    for name in ("one.opus", "two.opus"):
        daemon.drop(AUDIO / "speech.opus", name)
        job = daemon.wait(name, "completed")
    assert job["cached"]
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert (run["model"], *(run[part] for part in PARTS)) == (None,) * 5
