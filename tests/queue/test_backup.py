"""Backups of a database in use, and what happens to a damaged one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

import apsw
import pytest

from scriberrd import backup, errors, listing, rescue, store
from scriberrd import jobs as queue
from scriberrd.model import Identity, Settings, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.store import Store

NOON = 1_700_000_000.0  # 2023-11-14T22:13:20Z
DAY = 86400.0


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


def submit(db: apsw.Connection, number: int) -> None:
    source = Source("inbox", b"%d.mp3" % number, Identity(1, 2, 3, 4, number), f"{number:064}")
    queue.submit(db, source, profile="default", settings=Settings(), now=NOON)


@contextlib.contextmanager
def opened(state: Path, now: float = NOON) -> Iterator[Store]:
    """A database with a thousand jobs: many pages."""
    with rescue.opened(state, now=now) as opened:
        yield opened


async def fill(opened: Store, count: int = 1000) -> None:
    def submit_all(db: apsw.Connection) -> None:
        for number in range(count):
            submit(db, number)

    await opened.run(submit_all)


async def count(opened: Store) -> int:
    return sum((await opened.read(listing.counts)).values())


def jobs_in(file: Path) -> int:
    with contextlib.closing(apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        number: int = db.execute("SELECT count(*) FROM job").get
        return number


def damage(path: Path) -> None:
    """Overwrite pages in the middle of a file, as a dying disk does."""
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * (path.stat().st_size - 8192))


def kill(state: Path, path: Path) -> None:
    """Leave the files of a closed database as after a kill -9."""
    assert path.exists()
    (state / rescue.MARK).touch()


async def test_a_backup_is_one_sound_file_of_all_that_is_committed(tmp_path: Path) -> None:
    with opened(tmp_path) as live:
        await fill(live)
        made = backup.make(tmp_path / rescue.DATABASE, tmp_path / "backups", keep=2, now=NOON)
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
                backup.make, tmp_path / rescue.DATABASE, tmp_path / "backups", keep=2, now=NOON
            )
        )
        number, slowest = 1000, 0.0
        while not running.done():
            began = time.monotonic()
            await live.run(submit, number)
            slowest = max(slowest, time.monotonic() - began)
            number += 1
        made = await running
        assert number > 1001
        assert slowest < 2
        backup.require_sound(made)
        assert 1000 <= jobs_in(made) <= number
        assert await count(live) == number


def test_the_oldest_are_removed_and_other_files_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with opened(tmp_path):
        for day in range(4):
            when = NOON + day * DAY
            backup.make(tmp_path / rescue.DATABASE, folder, keep=2, now=when)
            (folder / "scriberrd-mine.db").touch()
        assert [file.name[10:18] for file in backup.found(folder)] == ["20231116", "20231117"]
        assert (folder / "scriberrd-mine.db").exists()


def test_the_next_is_due_by_the_age_of_the_newest(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    assert backup.due_in(folder, DAY, NOON) == 0
    with opened(tmp_path):
        backup.make(tmp_path / rescue.DATABASE, folder, keep=7, now=NOON)
    assert backup.due_in(folder, DAY, NOON + 60) == DAY - 60
    assert backup.due_in(folder, DAY, NOON + 2 * DAY) == 0
    assert backup.due_in(folder, DAY, NOON - 1000 * DAY) == DAY  # the clock was set back


async def test_a_backup_that_fails_is_a_warning_and_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as live:
        (tmp_path / "backups").write_text("in the way")
        keeping = asyncio.create_task(
            backup.keep(
                live,
                tmp_path / rescue.DATABASE,
                tmp_path / "backups",
                every=DAY,
                count=7,
                clock=Clock(NOON),
            )
        )
        while "no backup was made" not in caplog.text:
            await asyncio.sleep(0.01)
        assert not keeping.done()
        keeping.cancel()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages == ["no backup was made: backups: File exists"]


def test_a_backup_ends_with_the_daemon(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with opened(tmp_path), pytest.raises(backup.Stopped):
        backup.make(tmp_path / rescue.DATABASE, tmp_path / "backups", keep=7, now=NOON, stop=stop)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_is_given_up_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(store, "check", lambda *_: stop.set())
    with opened(tmp_path), pytest.raises(backup.Stopped):
        backup.make(tmp_path / rescue.DATABASE, tmp_path / "backups", keep=7, now=NOON, stop=stop)
    assert list((tmp_path / "backups").iterdir()) == []


async def test_one_that_was_told_to_stop_does_nothing_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / rescue.DATABASE, tmp_path / rescue.BACKUPS
    real, reached = store.check, SimpleQueue[threading.Event]()

    def held(db: apsw.Connection, name: str) -> None:  # as the check of a large copy takes long
        release = threading.Event()
        reached.put(release)
        assert release.wait(20)
        real(db, name)

    with opened(tmp_path) as live, ThreadPoolExecutor(2) as threads:
        await fill(live, 10)
        monkeypatch.setattr(store, "check", held)
        stop = threading.Event()
        old = threads.submit(backup.make, path, folder, keep=7, now=NOON, stop=stop)
        release_old = reached.get(timeout=20)
        stop.set()
        new = threads.submit(backup.make, path, folder, keep=8, now=NOON + 1)
        release_new = reached.get(timeout=20)
        release_old.set()
        ended = old.exception(20)
        assert list(folder.glob("scriberrd-*")) == []
        release_new.set()
        made = new.result(20)
    assert isinstance(ended, backup.Stopped | OSError | errors.StoreError)
    assert list(folder.iterdir()) == [made]
    assert jobs_in(made) == 10


async def test_what_a_crash_left_of_a_backup_goes_with_the_next(tmp_path: Path) -> None:
    folder = tmp_path / rescue.BACKUPS
    left = folder / "unfinished-1"
    left.mkdir(parents=True)
    (left / "copy.db").write_bytes(b"half of it")
    with opened(tmp_path):
        made = backup.make(tmp_path / rescue.DATABASE, folder, keep=7, now=NOON)
    assert list(folder.iterdir()) == [made]


def test_a_clean_stop_leaves_no_mark(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert (tmp_path / rescue.MARK).exists()
    assert [file.name for file in tmp_path.iterdir()] == [rescue.DATABASE]


async def test_damage_is_found_after_an_unclean_stop_and_the_newest_backup_restored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, backups = tmp_path / rescue.DATABASE, tmp_path / rescue.BACKUPS
    with opened(tmp_path) as live:
        await fill(live, 500)
        backup.make(path, backups, keep=7, now=NOON)
        await live.run(submit, 500)
        newer = backup.make(path, backups, keep=7, now=NOON + 1)
    with opened(tmp_path) as live:
        await live.run(submit, 501)
        wal = (tmp_path / "scriberrd.db-wal").read_bytes()
    damage(path)
    damage(newer)
    broken = path.read_bytes()
    (tmp_path / "scriberrd.db-wal").write_bytes(wal)
    kill(tmp_path, path)
    with opened(tmp_path) as live:
        assert await count(live) == 500
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert "is damaged" in caplog.text
    assert f"backup {newer.name} can't be used" in caplog.text
    assert "backup scriberrd-20231114T221320.db is restored" in caplog.text
    aside = tmp_path / "scriberrd.db.corrupt-20231114T221320"
    assert aside.read_bytes() == broken
    assert (tmp_path / f"{aside.name}-wal").read_bytes() == wal
    assert len(backup.found(backups)) == 2


async def test_where_there_are_backups_a_file_that_is_no_database_was_ours(tmp_path: Path) -> None:
    path = tmp_path / rescue.DATABASE
    with opened(tmp_path) as live:
        await fill(live, 10)
        backup.make(path, tmp_path / rescue.BACKUPS, keep=7, now=NOON)
    with path.open("r+b") as file:
        file.write(bytes(4096))
    broken = path.read_bytes()
    with opened(tmp_path) as live:
        assert await count(live) == 10
    assert (tmp_path / "scriberrd.db.corrupt-20231114T221320").read_bytes() == broken


@pytest.mark.parametrize("there", [True, False])
async def test_where_there_are_backups_an_empty_or_missing_file_is_a_lost_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, there: bool
) -> None:
    path, backups = tmp_path / rescue.DATABASE, tmp_path / rescue.BACKUPS
    with opened(tmp_path) as live:
        await fill(live, 10)
        made = backup.make(path, backups, keep=7, now=NOON)
    (backups / "scriberrd-20231114T221321.db").touch()  # it lost as much
    path.unlink()
    if there:
        path.touch()
    (tmp_path / "scriberrd.db-wal").write_bytes(b"of the lost one")
    with opened(tmp_path) as live:
        assert await count(live) == 10
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    aside, state = (
        tmp_path / "scriberrd.db.corrupt-20231114T221320",
        "empty" if there else "missing",
    )
    empty = "scriberrd-20231114T221321.db"
    assert caplog.messages == [
        f"scriberrd.db is {state}; what there is of it is kept as {aside.name}",
        f"backup {empty} can't be used: {empty} is empty",
        f"backup {made.name} is restored: what came after it is found in the inboxes",
    ]
    assert aside.exists() == there
    assert (tmp_path / f"{aside.name}-wal").read_bytes() == b"of the lost one"


@pytest.mark.parametrize("there", [True, False])
def test_a_first_start_is_no_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, there: bool
) -> None:
    if there:
        (tmp_path / rescue.DATABASE).touch()  # killed, when it had begun no more than that
    with opened(tmp_path):
        pass
    assert caplog.messages == []
    assert [file.name for file in tmp_path.iterdir()] == [rescue.DATABASE]


async def test_another_applications_database_is_left_alone_beside_our_backups(
    tmp_path: Path,
) -> None:
    path = tmp_path / rescue.DATABASE
    with opened(tmp_path):
        backup.make(path, tmp_path / rescue.BACKUPS, keep=7, now=NOON)
    path.unlink()
    with contextlib.closing(apsw.Connection(str(path))) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    before = path.read_bytes()
    kill(tmp_path, path)
    with pytest.raises(errors.DatabaseForeign), opened(tmp_path):
        pass
    assert path.read_bytes() == before


async def test_without_a_backup_the_queue_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as live:
        await fill(live)
    damage(tmp_path / rescue.DATABASE)
    kill(tmp_path, tmp_path / rescue.DATABASE)
    with opened(tmp_path) as live:
        assert await count(live) == 0
    assert "there is no backup" in caplog.text


async def test_killed_between_setting_aside_and_restoring(tmp_path: Path) -> None:
    path = tmp_path / rescue.DATABASE
    with opened(tmp_path) as live:
        await fill(live, 10)
        backup.make(path, tmp_path / rescue.BACKUPS, keep=7, now=NOON)
        await live.run(submit, 10)
    kill(tmp_path, path)
    os.rename(path, tmp_path / "scriberrd.db.corrupt-20200101T000000")
    (tmp_path / "scriberrd.db-wal").write_bytes(b"of the damaged one")
    with opened(tmp_path) as live:
        assert await count(live) == 10


def test_a_sound_database_is_used_after_an_unclean_stop(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    kill(tmp_path, tmp_path / rescue.DATABASE)
    with opened(tmp_path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == [rescue.DATABASE]


def test_what_is_not_ours_is_neither_moved_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / rescue.DATABASE
    path.write_bytes(b"no database " * 1000)
    kill(tmp_path, path)
    with pytest.raises(errors.DatabaseForeign, match="left untouched"), opened(tmp_path):
        pass
    assert path.read_bytes() == b"no database " * 1000
    path.unlink()
    db = store.connect(path)
    db.pragma("user_version", store.VERSION + 1)
    db.close()
    with pytest.raises(errors.DatabaseNewer), opened(tmp_path):
        pass
    assert path.exists()


async def test_a_database_that_failed_keeps_its_mark(tmp_path: Path) -> None:
    def fail(_: apsw.Connection) -> None:
        raise apsw.CorruptError("a page is damaged")

    with opened(tmp_path) as live:
        with pytest.raises(errors.DatabaseCorrupt):
            await live.run(fail)
        assert live.failed.is_set()
    assert (tmp_path / rescue.MARK).exists()  # the next start looks at all of it
