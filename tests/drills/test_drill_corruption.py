"""Pages of the database are damaged."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import apsw
import pytest
from program import AUDIO, TALK, Program, wait_for
from promises import checkpointed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]
    Seen = Callable[[object], None]

SPEECH = AUDIO / "speech.opus"
DIALOGUE = TALK
SENTENCE = AUDIO / "sentence.wav"
PAGE = 4096  # or two smaller ones
READ_ONLY = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def overwrite(file: Path) -> None:
    """Write nonsense over the pages in the middle."""
    pages = file.stat().st_size // PAGE
    with file.open("r+b") as opened:
        opened.seek(pages // 4 * PAGE)
        opened.write(b"\xa5" * (pages // 2 * PAGE))


def overwrite_one(file: Path) -> None:
    """The same with one page that nobody looks at when the database is opened."""
    with contextlib.closing(apsw.Connection(f"file:{file}?immutable=1", flags=READ_ONLY)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'output_job'").get
        size = db.pragma("page_size")
    with file.open("r+b") as opened:
        opened.seek((root - 1) * size)
        opened.write(b"\xa5" * size)


def halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // PAGE // 2 * PAGE)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def at_work(program: Make, *, backup: bool) -> Program:
    """A program with a finished recording, which a backup may know of, and two that are not."""
    daemon = program(start=False, model="slow", block_seconds=5)
    if not backup:
        config = daemon.config.read_text()
        daemon.config.write_text(config.replace("[daemon]", '[daemon]\nbackup = "0s"'))
    daemon.start()
    daemon.drop(SPEECH, "done.opus")
    daemon.wait("done.opus", "completed")
    daemon.stop()
    for file in (daemon.root / "state").glob("backups/*"):
        file.unlink()  # of the start, with nothing in it
    daemon.start()
    if backup:
        wait_for(lambda: list((daemon.root / "state").glob("backups/scriberrd-*")), "the backup")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    daemon.drop(SENTENCE, "next.wav")
    daemon.wait("next.wav", "queued")
    return daemon


def rescued(daemon: Program, *, backup: bool) -> str:
    """See that a program that starts again lacks nothing; what was done about its database."""
    published = {name: (daemon.out / name).stat().st_ino for name in daemon.files()}
    daemon.start()
    for name in ("done.opus", "long.opus", "next.wav"):
        assert daemon.wait(name, "completed")["failures"] == 0
    assert len(daemon.jobs()) == 3
    assert len(published) == 4
    assert {name: (daemon.out / name).stat().st_ino for name in published} == published
    (aside,) = (daemon.root / "state").glob("*.corrupt-????????T??????")
    assert aside.with_name(f"{aside.name}-wal").exists()
    done = "restored backup" if backup else "there is no backup"
    assert daemon.said(done) == 1
    return done


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("damage", "backup"),
    [
        (overwrite, True),
        pytest.param(overwrite, False, marks=pytest.mark.slow),
        pytest.param(overwrite_one, True, marks=pytest.mark.slow),
        pytest.param(halve, False, marks=pytest.mark.slow),
        pytest.param(empty, True, marks=pytest.mark.slow),
    ],
)
def test_damaged_when_it_starts(
    program: Make, damage: Callable[[Path], None], *, backup: bool, seen: Seen
) -> None:
    """pages of the database are overwritten or missing after a kill -9 in mid-job
    -> set aside with its log, the newest backup restored, all recordings found in the inboxes"""
    daemon = at_work(program, backup=backup)
    daemon.stop(signal.SIGKILL)
    damage(daemon.root / "state/scriberrd.db")
    seen(rescued(daemon, backup=backup))


@pytest.mark.slow
@pytest.mark.fault(18)
@pytest.mark.parametrize("backup", [True, False])
def test_damaged_while_it_runs(program: Make, *, backup: bool, seen: Seen) -> None:
    """pages of the database are overwritten in mid-job
    -> the daemon ends with status 1 and the reason; the next one sets the database aside"""
    daemon = at_work(program, backup=backup)
    overwrite(daemon.root / "state/scriberrd.db")
    assert daemon.wait_dead() == 1
    assert "the file is damaged" in daemon.log.read_text().splitlines()[-1]
    seen(rescued(daemon, backup=backup))
