"""Backups of a database in use."""

from __future__ import annotations

import asyncio
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest
from filled import NOON, count, fill, jobs_in, opened, submit
from support import eventually

from scriberrd import errors
from scriberrd.queue import backup, restore, store

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

DAY = 86400.0


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


async def test_a_backup_is_one_sound_file_of_all_that_is_committed(tmp_path: Path) -> None:
    with opened(tmp_path) as live:
        await fill(live)
        made = backup.make(tmp_path / restore.DATABASE, tmp_path / "backups", keep=2, now=NOON)
        assert made.name == "scriberrd-20231114T221320.db"
        backup.require_sound(made)
        assert jobs_in(made) == 1000
        assert [file.name for file in made.parent.iterdir()] == [made.name]


async def test_writers_go_on_meanwhile_and_the_backup_does_not_start_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES", 1)
    with opened(tmp_path) as live:
        await fill(live)
        running = asyncio.create_task(
            asyncio.to_thread(
                backup.make, tmp_path / restore.DATABASE, tmp_path / "backups", keep=2, now=NOON
            )
        )
        number = 1000
        while not running.done():
            await live.run(submit, number)
            number += 1
        made = await running
        assert number > 1001
        backup.require_sound(made)
        assert 1000 <= jobs_in(made) <= number
        assert await count(live) == number


def test_the_oldest_are_removed_and_other_files_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with opened(tmp_path):
        for day in range(4):
            when = NOON + day * DAY
            backup.make(tmp_path / restore.DATABASE, folder, keep=2, now=when)
            (folder / "scriberrd-mine.db").touch()
        kept = backup.found(folder, NOON + 3 * DAY)
        assert [file.name[10:18] for file in kept] == ["20231116", "20231117"]
        assert (folder / "scriberrd-mine.db").exists()


def test_the_next_is_due_by_the_age_of_the_newest(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    assert backup.due_in(folder, DAY, NOON) == 0
    with opened(tmp_path):
        backup.make(tmp_path / restore.DATABASE, folder, keep=7, now=NOON)
    assert backup.due_in(folder, DAY, NOON + 60) == DAY - 60
    assert backup.due_in(folder, DAY, NOON + 2 * DAY) == 0
    assert backup.due_in(folder, DAY, NOON - 60) == DAY  # the clock was put right
    assert backup.due_in(folder, DAY, NOON - 2 * DAY) == 0  # it was ahead: who knows how old it is


def test_what_a_clock_that_was_ahead_has_dated_goes_first(tmp_path: Path) -> None:
    path, folder = tmp_path / restore.DATABASE, tmp_path / restore.BACKUPS
    with opened(tmp_path):
        ahead = [backup.make(path, folder, keep=2, now=NOON + days * DAY) for days in (4000, 4001)]
        first = backup.make(path, folder, keep=2, now=NOON)
        assert backup.found(folder, NOON) == [ahead[1], first]
        second = backup.make(path, folder, keep=2, now=NOON + DAY)
        assert backup.found(folder, NOON + DAY) == [first, second]
        alone = backup.make(path, folder, keep=1, now=NOON - 1000 * DAY)
        assert list(folder.iterdir()) == [alone]


async def test_a_backup_that_fails_is_a_warning_and_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as live:
        (tmp_path / "backups").write_text("in the way")
        keeping = asyncio.create_task(
            backup.keep(
                live,
                tmp_path / restore.DATABASE,
                tmp_path / "backups",
                every=DAY,
                count=7,
                clock=Clock(NOON),
            )
        )
        await eventually(lambda: "can't back up the database" in caplog.text)
        assert not keeping.done()
        keeping.cancel()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages == ["can't back up the database: backups: File exists"]


def test_a_backup_ends_with_the_daemon(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with opened(tmp_path), pytest.raises(backup.Stopped):
        backup.make(tmp_path / restore.DATABASE, tmp_path / "backups", keep=7, now=NOON, stop=stop)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_is_given_up_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(store, "check", lambda *_: stop.set())
    with opened(tmp_path), pytest.raises(backup.Stopped):
        backup.make(tmp_path / restore.DATABASE, tmp_path / "backups", keep=7, now=NOON, stop=stop)
    assert list((tmp_path / "backups").iterdir()) == []


async def test_one_that_was_told_to_stop_does_nothing_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / restore.DATABASE, tmp_path / restore.BACKUPS
    real, reached = store.check, SimpleQueue[threading.Event]()

    def held(db: apsw.Connection, name: str) -> None:  # as the check of a large copy takes long
        release = threading.Event()
        reached.put(release)
        assert release.wait(60)
        real(db, name)

    with opened(tmp_path) as live, ThreadPoolExecutor(2) as threads:
        await fill(live, 10)
        monkeypatch.setattr(store, "check", held)
        stop = threading.Event()
        old = threads.submit(backup.make, path, folder, keep=7, now=NOON, stop=stop)
        release_old = reached.get(timeout=60)
        stop.set()
        new = threads.submit(backup.make, path, folder, keep=8, now=NOON + 1)
        release_new = reached.get(timeout=60)
        release_old.set()
        ended = old.exception(60)
        assert list(folder.glob("scriberrd-*")) == []
        release_new.set()
        made = new.result(60)
    assert isinstance(ended, backup.Stopped | OSError | errors.StoreError)
    assert list(folder.iterdir()) == [made]
    assert jobs_in(made) == 10


async def test_what_a_crash_left_of_a_backup_goes_with_the_next(tmp_path: Path) -> None:
    folder = tmp_path / restore.BACKUPS
    left = folder / "unfinished-1"
    left.mkdir(parents=True)
    (left / "copy.db").write_bytes(b"half of it")
    with opened(tmp_path):
        made = backup.make(tmp_path / restore.DATABASE, folder, keep=7, now=NOON)
    assert list(folder.iterdir()) == [made]


async def test_without_a_free_descriptor_there_is_no_backup_for_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "backups").mkdir()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with opened(tmp_path) as live:
        folders = (tmp_path / restore.DATABASE, tmp_path / "backups")
        keep = backup.keep(live, *folders, every=DAY, count=7, clock=Clock(NOON))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            keeping = asyncio.create_task(keep)
            await eventually(lambda: keeping.done() or "can't back up the database" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not keeping.done()
        keeping.cancel()
