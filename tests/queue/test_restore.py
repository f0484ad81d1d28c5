"""What happens to a database that is damaged, lost or not ours."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import apsw
import pytest
from filled import NOON, count, damage, fill, kill, opened, submit

from scriberrd import errors
from scriberrd.queue import backup, queries, restore, store

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400.0


def test_a_clean_stop_leaves_no_mark(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert (tmp_path / restore.MARK).exists()
    assert [file.name for file in tmp_path.iterdir()] == [restore.DATABASE]


async def test_damage_is_found_after_an_unclean_stop_and_the_newest_backup_restored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, backups = tmp_path / restore.DATABASE, tmp_path / restore.BACKUPS
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
    assert "restored backup scriberrd-20231114T221320.db" in caplog.text
    aside = tmp_path / "scriberrd.db.corrupt-20231114T221320"
    assert aside.read_bytes() == broken
    assert (tmp_path / f"{aside.name}-wal").read_bytes() == wal
    assert len(backup.found(backups, NOON)) == 2


async def test_what_is_restored_is_another_database_for_those_who_follow_events(
    tmp_path: Path,
) -> None:
    path, backups = tmp_path / restore.DATABASE, tmp_path / restore.BACKUPS
    with opened(tmp_path) as live:
        await fill(live, 10)
        made = backup.make(path, backups, keep=7, now=NOON)
        before = await live.read(queries.stream)
    with opened(tmp_path) as live:
        assert await live.read(queries.stream) == before
    content = made.read_bytes()
    path.unlink()
    with opened(tmp_path) as live:
        after = await live.read(queries.stream)
        assert after.generation != before.generation
        assert after.newest == before.newest == 10
    assert made.read_bytes() == content
    assert {file.name for file in tmp_path.iterdir()} == {restore.DATABASE, restore.BACKUPS}


async def test_where_there_are_backups_a_file_that_is_no_database_was_ours(tmp_path: Path) -> None:
    path = tmp_path / restore.DATABASE
    with opened(tmp_path) as live:
        await fill(live, 10)
        backup.make(path, tmp_path / restore.BACKUPS, keep=7, now=NOON)
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
    path, backups = tmp_path / restore.DATABASE, tmp_path / restore.BACKUPS
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
        f"scriberrd.db is {state}; set aside as {aside.name}",
        f"backup {empty} can't be used: {empty} is empty",
        f"restored backup {made.name}: newer recordings are found again in the inboxes",
    ]
    assert aside.exists() == there
    assert (tmp_path / f"{aside.name}-wal").read_bytes() == b"of the lost one"


async def test_a_backup_that_a_clock_that_was_ahead_has_dated_is_the_last_choice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, backups = tmp_path / restore.DATABASE, tmp_path / restore.BACKUPS
    with opened(tmp_path) as live:
        await fill(live, 10)
        ahead = backup.make(path, backups, keep=7, now=NOON + 4000 * DAY)
        await live.run(submit, 10)
        newest = backup.make(path, backups, keep=7, now=NOON - DAY)
    path.unlink()
    with opened(tmp_path) as live:
        assert await count(live) == 11
    path.unlink()
    damage(newest)
    with opened(tmp_path) as live:
        assert await count(live) == 10
    assert f"restored backup {ahead.name}" in caplog.text


@pytest.mark.parametrize("there", [True, False])
def test_a_first_start_is_no_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, there: bool
) -> None:
    if there:
        (tmp_path / restore.DATABASE).touch()  # killed, when it had begun no more than that
    with opened(tmp_path):
        pass
    assert caplog.messages == []
    assert [file.name for file in tmp_path.iterdir()] == [restore.DATABASE]


async def test_another_applications_database_is_left_alone_beside_our_backups(
    tmp_path: Path,
) -> None:
    path = tmp_path / restore.DATABASE
    with opened(tmp_path):
        backup.make(path, tmp_path / restore.BACKUPS, keep=7, now=NOON)
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
    damage(tmp_path / restore.DATABASE)
    kill(tmp_path, tmp_path / restore.DATABASE)
    with opened(tmp_path) as live:
        assert await count(live) == 0
    assert "there is no backup" in caplog.text


async def test_killed_between_setting_aside_and_restoring(tmp_path: Path) -> None:
    path = tmp_path / restore.DATABASE
    with opened(tmp_path) as live:
        await fill(live, 10)
        backup.make(path, tmp_path / restore.BACKUPS, keep=7, now=NOON)
        await live.run(submit, 10)
    kill(tmp_path, path)
    os.rename(path, tmp_path / "scriberrd.db.corrupt-20200101T000000")
    (tmp_path / "scriberrd.db-wal").write_bytes(b"of the damaged one")
    with opened(tmp_path) as live:
        assert await count(live) == 10


def test_a_sound_database_is_used_after_an_unclean_stop(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    kill(tmp_path, tmp_path / restore.DATABASE)
    with opened(tmp_path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == [restore.DATABASE]


def test_what_is_not_ours_is_neither_moved_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / restore.DATABASE
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
    assert (tmp_path / restore.MARK).exists()  # the next start looks at all of it
