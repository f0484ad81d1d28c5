"""What waits in the real program because the machine is at fault, and goes on when it is mended."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, TESTS, Program, wait_for
from test_failing import calm, query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = AUDIO / "dialogue.opus"


def paused(daemon: Program) -> dict[str, Any]:
    """The pause that there is, once there is one."""
    (pause,) = wait_for(lambda: daemon.ctl("status")["outages"], "a pause")
    return dict(pause)


def test_a_missing_model_pauses_its_jobs_and_no_others(program: Make) -> None:
    daemon = program(model="missing+until")
    for number in range(5):
        daemon.drop(SENTENCE.read_bytes() + b"%d" % number, f"{number}.wav")
    pause = paused(daemon)
    assert (pause["part"], pause["error"]["code"]) == ("model", "model_missing")
    assert pause["name"] == "fake missing+until on cpu"
    calm(daemon, SENTENCE, "other.wav")
    daemon.wait("other.wav", "completed")
    first, *rest = [job for job in daemon.jobs() if job["inbox"] == "main"]
    assert [job["state"] for job in rest] == ["queued"] * 4
    assert first["failures"] == 0
    assert query(daemon, f"SELECT 1 FROM execution WHERE job IN ({rest[-1]['id']})") == []
    (daemon.root / "fake-state").touch()
    wait_for(lambda: daemon.ctl("status")["jobs"]["completed"] == 6, "all of them")
    assert daemon.ctl("status")["outages"] == []
    log = daemon.log.read_text()
    assert (log.count("is paused"), log.count("goes on")) == (1, 1)


def test_a_missing_device_pauses_its_workers(program: Make) -> None:
    daemon = program(model="no-device+until", count=2)
    daemon.drop(SENTENCE, "one.wav")
    pause = paused(daemon)
    assert (pause["part"], pause["name"]) == ("pool", "cpu")
    assert pause["error"]["code"] == "device_unavailable"
    shown = subprocess.run(
        [*daemon.client, "status"], capture_output=True, text=True, check=True
    ).stdout
    assert "outage   pool cpu: the worker's device can't be used" in shown
    daemon.drop(SENTENCE.read_bytes() + b"2", "two.wav")
    job = daemon.wait("two.wav", "queued")
    assert (job["failures"], job["started_at"]) == (0, None)
    (daemon.root / "fake-state").touch()
    wait_for(lambda: daemon.ctl("status")["jobs"]["completed"] == 2, "both")
    assert daemon.ctl("status")["outages"] == []


@contextlib.contextmanager
def in_the_way(folder: Path) -> Iterator[None]:
    """Put a file where an empty folder was."""
    folder.rmdir()
    folder.write_text("in the way")
    yield
    folder.unlink()
    folder.mkdir(exist_ok=True)  # the daemon may have been quicker


def waits(daemon: Program, part: str, name: str, code: str, *, others: bool = True) -> None:
    """A recording waits for this part of the machine; others, that do not need it, are done."""
    pause = paused(daemon)
    assert (pause["part"], pause["name"], pause["error"]["code"]) == (part, name, code)
    shown = subprocess.run([*daemon.client, "status"], capture_output=True, text=True, check=True)
    assert f"outage   {part} {name}: {pause['error']['message']}" in shown.stdout
    if others:
        calm(daemon, DIALOGUE, "other.opus")
        daemon.wait("other.opus", "completed")
    daemon.wait("one.wav", "queued", "processing")


def goes_on(daemon: Program) -> None:
    """What was at fault is mended: nothing is left of it."""
    assert daemon.wait("one.wav", "completed")["failures"] == 0
    assert daemon.ctl("status")["outages"] == []


def test_an_output_folder_that_cannot_be_written_pauses_its_inbox(program: Make) -> None:
    daemon = program()
    with in_the_way(daemon.out):
        daemon.drop(SENTENCE, "one.wav")
        waits(daemon, "output", "main", "output_unwritable")
    goes_on(daemon)


def test_a_retry_does_not_hide_what_was_done_with_less(program: Make) -> None:
    daemon = program(model="oom-big", profile="batch_size = 4")
    with in_the_way(daemon.out):
        daemon.drop(DIALOGUE, "long.opus")
        assert paused(daemon)["part"] == "output"
        daemon.ctl("pause")
        job = daemon.wait("long.opus", "queued")
        assert job["fallbacks"] == ["batch_size 4 -> 2"]
        daemon.ctl("retry", job["id"])
    daemon.ctl("resume")
    job = daemon.wait("long.opus", "completed")
    assert job["fallbacks"] == []
    assert daemon.transcript("long.json")["engine"]["fallbacks"] == ["batch_size 4 -> 2"]


def test_an_inbox_that_is_gone_pauses_its_jobs(program: Make) -> None:
    daemon = program()
    daemon.ctl("pause", "--inbox", "main")
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "queued")
    elsewhere = daemon.inbox.rename(daemon.root / "elsewhere")
    daemon.ctl("resume")
    waits(daemon, "inbox", "main", "inbox_unavailable")
    elsewhere.rename(daemon.inbox)
    goes_on(daemon)


def test_workers_that_cannot_be_started_pause_their_pool(program: Make) -> None:
    daemon = program()
    daemon.stop()
    ours, theirs = Path(sys.prefix), daemon.root / "venv"
    (theirs / "bin").mkdir(parents=True)
    for name in ("lib", "pyvenv.cfg"):
        (theirs / name).symlink_to(ours / name)
    python = theirs / "bin/python"
    python.symlink_to(Path(sys.executable).resolve())
    daemon.start(python)
    python.unlink()
    daemon.drop(SENTENCE, "one.wav")
    waits(daemon, "pool", "cpu", "no_worker", others=False)
    python.symlink_to(Path(sys.executable).resolve())
    goes_on(daemon)


def test_an_engine_that_is_not_installed_pauses_its_jobs(program: Make) -> None:
    daemon = program()
    daemon.stop()
    packages = shutil.copytree(TESTS / "fake_engine", daemon.root / "packages")
    engine = packages / "scriberrd_fake_engine.py"
    broken = engine.rename(packages / "broken")
    daemon.start(PYTHONPATH=str(packages))
    daemon.drop(SENTENCE, "one.wav")
    waits(daemon, "model", "fake ok on cpu", "engine_missing", others=False)
    broken.rename(engine)
    goes_on(daemon)


@contextlib.contextmanager
def small_state(daemon: Program) -> Iterator[Path]:
    """Put the database on a small file system; gives a file that is to be filled."""
    daemon.stop()
    state = daemon.root / "state"
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        daemon.start()
        yield state / "filler"
        daemon.stop()
    finally:
        if daemon.daemon is not None:
            daemon.stop(9)
        subprocess.run(["umount", str(state)], check=True)


def fill(file: Path) -> None:
    done = subprocess.run(
        ["dd", "if=/dev/zero", f"of={file}", "bs=4k"], check=False, capture_output=True
    )
    assert done.returncode == 1  # no space left


def test_no_space_for_a_checkpoint_delays_and_loses_nothing(program: Make) -> None:
    daemon = program(model="slow", block_seconds=5)
    with small_state(daemon) as filler:
        daemon.drop(DIALOGUE, "long.opus")
        wait_for(lambda: (daemon.job("long.opus") or {}).get("stage") == "transcribing", "work")
        fill(filler)
        pause = paused(daemon)
        assert (pause["part"], pause["error"]["code"]) == ("store", "store_failed")
        filler.unlink()
        assert daemon.wait("long.opus", "completed")["failures"] == 0
        assert daemon.ctl("status")["outages"] == []
        log = daemon.log.read_text()
        assert log.count("is paused") == log.count("database goes on") > 0


def test_a_full_disk_under_the_database_delays_and_loses_nothing(program: Make) -> None:
    daemon = program()
    with small_state(daemon) as filler:
        fill(filler)
        for number in range(50):
            daemon.drop(SENTENCE.read_bytes() + b"%d" % number, f"{number}.wav")
        wait_for(lambda: "trying again" in daemon.log.read_text(), "the intake to pause")
        assert paused(daemon)["part"] == "store"
        filler.unlink()
        wait_for(lambda: daemon.ctl("status")["jobs"]["completed"] == 50, "all of them")
        assert {job["failures"] for job in daemon.ctl("list", "--all")} == {0}
        assert daemon.ctl("status")["outages"] == []
