"""What waits in the real program because the machine is at fault, and goes on when it is mended.

More of it is in the drills of faults 14 to 17, 38 and 40.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from program import AUDIO, MODEL, TALK, TESTS, Program, wait_for
from test_failing import calm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = TALK
SIZE = 1 << 28  # bytes


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
    pause = daemon.outage()
    assert (pause["part"], pause["name"], pause["error"]["code"]) == (part, name, code)
    shown = subprocess.run([*daemon.client, "status"], capture_output=True, text=True, check=True)
    of = "of inbox " if part == "output" else ""
    assert f"outage   {part} {of}{name}: {pause['error']['message']}" in shown.stdout
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


def test_an_output_folder_is_tried_without_a_job(program: Make) -> None:
    daemon = program()
    with in_the_way(daemon.out):
        daemon.drop(SENTENCE, "one.wav")
        assert daemon.outage()["part"] == "output"
        daemon.ctl("pause", "--inbox", "main")
        daemon.wait("one.wav", "queued")
    wait_for(lambda: not daemon.ctl("status")["outages"], "the end of the outage")
    daemon.ctl("resume")
    goes_on(daemon)


def test_what_is_in_the_way_of_one_recording_is_in_nobody_elses(program: Make) -> None:
    daemon = program()
    (daemon.out / "talks").write_text("a list")
    daemon.drop(SENTENCE, "talks/one.wav")
    daemon.drop(SENTENCE.read_bytes() + b"\0\0", "two.wav")
    daemon.wait("two.wav", "completed")
    first = wait_for(lambda: (daemon.job("talks/one.wav") or {}).get("error"), "the reason")
    assert first["code"] == "output_blocked"
    assert daemon.ctl("status")["outages"] == []
    (daemon.out / "talks").unlink()
    assert daemon.wait("talks/one.wav", "completed")["failures"] == 0
    assert daemon.said("outage") == 0


def test_what_is_out_for_one_pool_keeps_no_other_from_work(program: Make) -> None:
    second = '[[worker]]\nname = "second"\n'
    daemon = program(model="missing+until", backoff="1h", retry=second)
    names = [f"{number}.wav" for number in range(4)]
    for name in names:
        daemon.drop(SENTENCE.read_bytes() + name.encode(), name)
    daemon.outage()
    wait_for(lambda: len(daemon.jobs()) == len(names), "all")
    (daemon.root / "fake-state").touch()
    # A run that has just begun may find the model, and end the outage for all before this does.
    subprocess.run([*daemon.client, "retry", "4"], capture_output=True, check=False)
    for name in names:
        daemon.wait(name, "completed")


def test_a_retry_does_not_hide_what_was_done_with_less(program: Make) -> None:
    daemon = program(model="oom-big", profile="batch_size = 4")
    with in_the_way(daemon.out):
        daemon.drop(DIALOGUE, "long.opus")
        assert daemon.outage()["part"] == "output"
        daemon.ctl("pause")
        job = daemon.wait("long.opus", "queued")
        assert job["fallbacks"] == ["batch_size 4 -> 2"]
        daemon.ctl("retry", job["id"])
    daemon.ctl("resume")
    job = daemon.wait("long.opus", "completed")
    assert job["fallbacks"] == []
    assert daemon.transcript("long.json")["engine"]["fallbacks"] == ["batch_size 4 -> 2"]


def retry(daemon: Program) -> None:
    daemon.ctl("retry", daemon.jobs()[-1]["id"])


def restart(daemon: Program) -> None:
    daemon.stop()
    daemon.start()


def reload(daemon: Program) -> None:
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)


@pytest.mark.parametrize("tell", [retry, restart, reload])
def test_who_has_mended_it_need_not_wait(program: Make, tell: Callable[[Program], None]) -> None:
    daemon = program(model="missing+until", backoff="1h")
    for name in ("one.wav", "two.wav", "three.wav"):
        daemon.drop(SENTENCE.read_bytes() + name.encode(), name)
    wait_for(
        lambda: [bool(job["not_before"]) for job in daemon.jobs()] == [True] * 3, "all put off"
    )
    (daemon.root / "fake-state").touch()
    tell(daemon)
    for name in ("one.wav", "two.wav", "three.wav"):
        daemon.wait(name, "completed")
    assert daemon.ctl("status")["outages"] == []


def test_a_recording_that_is_queued_ends_the_outage_of_the_store(program: Make) -> None:
    later = dt.datetime.now().astimezone() + dt.timedelta(hours=3)
    hours = f"{later:%H:%M}-{later + dt.timedelta(minutes=1):%H:%M}"
    daemon = program(hours=hours)  # so that nobody but the inbox tries to write
    process = psutil.Process(daemon.daemon and daemon.daemon.pid)
    with contextlib.closing(sqlite3.connect(daemon.root / "state/scriberrd.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        daemon.drop(SENTENCE, "one.wav")
        with (daemon.inbox / "big.mp3").open("wb") as file:
            file.truncate(SIZE)
        os.utime(daemon.inbox / "big.mp3", (0, 0))  # the oldest comes first
        assert daemon.outage()["part"] == "store"
        tried, read = daemon.said("database is tried in"), process.io_counters().read_chars
        wait_for(lambda: daemon.said("database is tried in") > tried, "another try")
        assert process.io_counters().read_chars < read + SIZE
    wait_for(lambda: not daemon.ctl("status")["outages"], "the end of the outage")
    daemon.wait("one.wav", "queued")
    daemon.config.write_text(daemon.config.read_text().replace(hours, ""))
    reload(daemon)
    goes_on(daemon)


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


def test_folders_that_are_mounted_late_keep_nothing_else_back(program: Make) -> None:
    daemon = program(start=False)
    for folder in (daemon.inbox, daemon.out):
        folder.rmdir()
    daemon.start()
    assert daemon.said("inbox[1].path: ") == daemon.said("inbox[1].output: ") == 1
    calm(daemon, SENTENCE, "other.wav")
    daemon.wait("other.wav", "completed")
    daemon.inbox.mkdir()
    daemon.drop(SENTENCE, "one.wav")
    assert daemon.outage()["error"]["code"] == "output_unwritable"
    daemon.out.mkdir()
    goes_on(daemon)


def test_what_nothing_waits_for_is_no_outage_any_more(program: Make) -> None:
    daemon = program(model="missing", backoff="0.5s")
    daemon.drop(SENTENCE, "one.wav")
    assert daemon.outage()["part"] == "model"
    daemon.ctl("cancel", daemon.jobs()[0]["id"])
    wait_for(lambda: not daemon.ctl("status")["outages"], "the end of the outage")
    assert daemon.said("outage over: model fake missing: nothing waits for it") == 1


def test_workers_that_cannot_be_started_pause_their_pool(program: Make) -> None:
    daemon = program(start=False)
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


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("sitecustomize", "if '-m' in sys.orig_argv: os._exit(78)"),
        ("av", "sys.exit('the library is broken')"),
        ("av", "os.kill(os.getpid(), 11)"),
    ],
)
def test_workers_that_die_before_they_work_pause_their_pool(
    program: Make, module: str, code: str
) -> None:
    daemon = program(start=False)
    packages = shutil.copytree(TESTS / "fake_engine", daemon.root / "packages")
    broken = packages / f"{module}.py"
    broken.write_text(f"import os, sys\n{code}\n")
    daemon.start(PYTHONPATH=str(packages))
    daemon.drop(SENTENCE, "one.wav")
    waits(daemon, "pool", "cpu", "no_worker", others=False)
    wait_for(lambda: daemon.said("worker cpu died") >= 4, "more deaths than a recording may cost")
    broken.unlink()
    goes_on(daemon)


def test_an_engine_that_is_not_installed_pauses_its_jobs(program: Make) -> None:
    daemon = program(start=False)
    packages = shutil.copytree(TESTS / "fake_engine", daemon.root / "packages")
    engine = packages / "scriberrd_fake_engine.py"
    broken = engine.rename(packages / "broken")
    daemon.start(PYTHONPATH=str(packages))
    daemon.drop(SENTENCE, "one.wav")
    waits(daemon, "model", "fake ok", "engine_missing", others=False)
    broken.rename(engine)
    goes_on(daemon)


HUB = "models--someone--tiny/snapshots/0123456789012345678901234567890123456789"


@pytest.mark.parametrize(
    ("closed", "told"),
    [
        ("tiny/model.bin", "tiny/model.bin"),
        ("tiny", "tiny/model.bin"),
        (f"{HUB}/tokenizer.json", f"{HUB}/tokenizer.json"),
        ("models--someone--tiny", "models--someone--tiny/refs"),
    ],
)
def test_a_model_that_may_not_be_read_is_told_by_name(
    program: Make, tmp_path: Path, closed: str, told: str
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(MODEL, folder / "tiny")
    shutil.copytree(MODEL, folder / HUB)
    (folder / HUB).parents[1].joinpath("refs").mkdir()
    (folder / HUB).parents[1].joinpath("refs/main").write_text(Path(HUB).name)
    model = folder / "tiny" if closed.startswith("tiny") else "someone/tiny"
    daemon = program(start=False, engine="faster-whisper", model=model)
    mode = (folder / closed).stat().st_mode
    (folder / closed).chmod(0)
    # Root reads everything, unless it has no capabilities.
    without = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    daemon.start(*without, HF_HUB_CACHE=str(folder))
    daemon.drop(SENTENCE, "one.wav")
    error = daemon.outage()["error"]
    assert error["code"] == "model_unreadable"
    assert error["detail"] == f"{told}: Permission denied"
    (folder / closed).chmod(mode)
    goes_on(daemon)
