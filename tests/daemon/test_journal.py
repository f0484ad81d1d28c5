"""What the journal is told of a recording, as `journalctl JOB_ID=1` shows it."""

from __future__ import annotations

import getpass
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from journald import heard
from program import AUDIO, Program, wait_for

from scriberrd.logs import Event

if TYPE_CHECKING:
    from collections.abc import Callable

JOURNALED = Path(__file__).with_name("journaled.py")
NAMES = {one.value: one.name for one in Event}


def launch(daemon: Program, at: Path) -> None:
    """Start it as systemd does: stderr leads to the journal, and the environment says so."""
    daemon.log.touch()
    log = daemon.log.stat()
    stream = f"{log.st_dev}:{log.st_ino}"
    daemon.launch(sys.executable, JOURNALED, at, JOURNAL_STREAM=stream)


def test_the_journal_tells_the_whole_life_of_a_recording(
    program: Callable[..., Program], tmp_path: Path
) -> None:
    daemon = program(start=False, model="exit", block_seconds=5)
    (daemon.root / "archive").mkdir()
    leaving = 'name = "main"\nafter = "archive"\narchive = "archive/{name}"'
    daemon.config.write_text(daemon.config.read_text().replace('name = "main"', leaving))
    with heard(tmp_path / "journal") as entries:
        launch(daemon, tmp_path / "journal")
        wait_for(daemon.socket.exists, "its socket")
        daemon.drop(AUDIO / "speech.mp3", "talk\n.mp3")
        wait_for(lambda: any("died" in one["MESSAGE"] for one in entries), "a worker's death")
        mended = daemon.config.read_text().replace('"exit"', '"ok"')
        daemon.config.write_text(f"broken = 1\n{mended}")
        daemon.ctl("reload", status=1)
        daemon.config.write_text(mended)
        daemon.ctl("cancel", 1)
        daemon.wait("talk\n.mp3", "canceled")
        daemon.ctl("reload")
        daemon.ctl("redo", 1)
        daemon.wait("talk\n.mp3", "completed")
        left = Event.RECORDING_LEFT.value
        wait_for(lambda: entries[-1].get("MESSAGE_ID") == left, "that it is archived")
        daemon.stop()
    assert daemon.log.read_text() == ""  # nothing is told twice
    life = [one for one in entries if one.get("JOB_ID") == "1"]
    assert {one["INBOX"] for one in life} == {"main"}
    assert {one["SYSLOG_IDENTIFIER"] for one in entries} == {"scriberrd"}
    assert all(one["MESSAGE"].startswith("job 1 main/talk\\n.mp3: ") for one in life)
    moments = [NAMES[one["MESSAGE_ID"]] for one in life if "MESSAGE_ID" in one]
    moments = [one for one in moments if one != "JOB_PREPARING"]  # only where that takes a while
    assert moments[:5] == [
        "JOB_QUEUED",
        "JOB_STARTED",
        "WORKER_STARTED",
        "JOB_TRANSCRIBING",
        "WORKER_DIED",
    ]
    assert [one for one in moments if not one.startswith("WORKER")][-6:] == [
        "JOB_QUEUED",
        "JOB_STARTED",
        "JOB_TRANSCRIBING",
        "JOB_PUBLISHED",
        "JOB_COMPLETED",
        "RECORDING_LEFT",
    ]
    (death, *_) = [one for one in life if one.get("MESSAGE_ID") == Event.WORKER_DIED.value]
    assert (death["PRIORITY"], death["WORKER"], death["STAGE"]) == ("4", "cpu", "transcribing")
    printed = [one for one in life if "my last words" in one["MESSAGE"]]
    assert {(one["EXECUTION"], one["WORKER"]) for one in printed[:1]} == {("1", "cpu")}
    done = next(one for one in life if one.get("MESSAGE_ID") == Event.JOB_COMPLETED.value)
    assert "real-time factor" in done["MESSAGE"]
    others = [NAMES[one["MESSAGE_ID"]] for one in entries if "MESSAGE_ID" in one]
    ordered = {"RELOADED", "RELOAD_REFUSED"}
    by = {(NAMES.get(one.get("MESSAGE_ID", "")), one.get("ASKED_BY")) for one in entries}
    assert {one for one in by if one[0] in ordered} == {(one, getpass.getuser()) for one in ordered}
    assert ("WORKER_STARTED", None) in by  # what follows from an order is the daemon's
    for moment in ("READY", "RELOADED", "STOPPING", "STOPPED"):
        assert others.count(moment) == 1


def test_the_journal_is_told_why_it_can_not_start(
    program: Callable[..., Program], tmp_path: Path
) -> None:
    daemon = program(start=False)
    written = daemon.config.read_text()
    daemon.config.write_text("broken = 1\n" + written.replace('rescan = "', 'rescan = "x'))
    with heard(tmp_path / "journal") as entries:
        launch(daemon, tmp_path / "journal")
        assert daemon.wait_dead() == 78
    assert daemon.log.read_text() == ""
    assert [one["PRIORITY"] for one in entries] == ["3", "3"]
    assert entries[0]["MESSAGE"].startswith(f"{daemon.config}:1: broken: unknown key")
    assert ": daemon.rescan: 'x" in entries[1]["MESSAGE"]
    daemon.config.write_text(written)
    daemon.start()


def test_what_a_worker_does_first_is_shown(program: Callable[..., Program], tmp_path: Path) -> None:
    daemon = program(start=False, model="load-slowly")
    with heard(tmp_path / "journal") as entries:
        launch(daemon, tmp_path / "journal")
        wait_for(daemon.socket.exists, "its socket")
        daemon.drop(AUDIO / "sentence.wav", "one.wav")

        def worker() -> dict[str, Any]:
            (found,) = daemon.ctl("status")["workers"]
            return dict(found)

        wait_for(lambda: worker()["step"] == "loading the model", "that it loads")
        (daemon.root / "fake-state").touch()
        daemon.wait("one.wav", "completed")
        assert worker()["step"] is None
        daemon.stop()
    stages = {
        NAMES.get(one.get("MESSAGE_ID", "")): (one.get("STAGE"), one["MESSAGE"]) for one in entries
    }
    assert stages["JOB_PREPARING"] == ("preparing", "job 1 main/one.wav: loading the model")
    assert stages["JOB_TRANSCRIBING"][0] == "transcribing"


def test_a_worker_that_dies_while_it_is_idle_is_a_warning(
    program: Callable[..., Program],
) -> None:
    daemon = program()
    daemon.drop(AUDIO / "sentence.wav", "one.wav")
    daemon.wait("one.wav", "completed")
    (worker,) = daemon.workers()
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(worker.pid) or worker.status() == "zombie", "its end")
    daemon.drop(AUDIO / "speech.mp3", "two.mp3")
    daemon.wait("two.mp3", "completed")
    died = f"worker cpu died, pid {worker.pid}: it ended while it was idle"
    (line,) = [one for one in daemon.log.read_text().splitlines() if died in one]
    assert " WARNING " in line
