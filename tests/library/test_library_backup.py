"""The copy of the library in the backups: with it, words outlive their recordings."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

import pytest

from scriberrd.library.file import File
from scriberrd.queue import backup
from scriberrd.queue.restore import BACKUPS, DATABASE
from scriberrd.queue.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import apsw


def put(db: apsw.Connection) -> None:
    db.execute("CREATE TABLE mine (text TEXT)")
    db.execute("INSERT INTO mine VALUES ('words')")


def found(db: apsw.Connection) -> str | None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'mine'").get is None:
        return None
    text: str = db.execute("SELECT text FROM mine").get
    return text


def back_up(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path / DATABASE)):
        backup.make(
            tmp_path / DATABASE,
            tmp_path / BACKUPS,
            keep=1,
            now=1.0,
            library=tmp_path / "library.db",
        )


@pytest.mark.parametrize("harm", ["lost", "damaged"])
async def test_the_copy_takes_the_place_of_a_library_that_is_gone(
    tmp_path: Path, harm: str
) -> None:
    path = tmp_path / "library.db"
    with contextlib.closing(File(path, time)) as file:
        await file.run(put)
        back_up(tmp_path)
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(b"\xa5" * 8192)
    with contextlib.closing(File(path, time)) as file:
        if harm == "damaged":
            assert await file.run(found) is None  # it is set aside
        assert await file.run(found) == "words"


async def test_a_damaged_copy_is_not_taken_twice(tmp_path: Path) -> None:
    (tmp_path / BACKUPS).mkdir()
    (tmp_path / BACKUPS / "library.db").write_bytes(b"\xa5" * 8192)
    with contextlib.closing(File(tmp_path / "library.db", time)) as file:
        assert await file.run(found) is None
        await file.run(put)
        assert await file.run(found) == "words"


async def test_what_is_forgotten_is_not_in_the_copy_either(tmp_path: Path) -> None:
    with contextlib.closing(File(tmp_path / "library.db", time)) as file:
        await file.run(put)
        back_up(tmp_path)
        await file.forget_copy()
    assert [path.suffix for path in (tmp_path / BACKUPS).iterdir()] == [".db"]  # of the queue
    assert not (tmp_path / BACKUPS / "library.db").exists()


def test_a_damaged_library_is_no_reason_to_do_without_a_backup(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "library.db").write_bytes(b"\xa5" * 8192)
    with caplog.at_level(logging.WARNING):
        back_up(tmp_path)
    assert len(backup.found(tmp_path / BACKUPS, 2.0)) == 1
    assert "can't back up the library" in caplog.text
