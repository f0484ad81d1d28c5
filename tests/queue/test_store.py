"""The database file: what is opened, what is refused, and what errors become."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import apsw
import pytest
from support import eventually

from scriberrd import errors
from scriberrd.queue import store
from scriberrd.queue.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_new_database_has_what_the_promises_need(tmp_path: Path) -> None:
    db = store.connect(tmp_path / "queue.db")
    assert db.pragma("journal_mode") == "wal"
    assert db.pragma("synchronous") == 2  # FULL: an acknowledged job survives a power cut
    assert db.pragma("foreign_keys") == 1
    assert db.pragma("application_id") == store.APPLICATION_ID
    assert db.pragma("quick_check") == "ok"
    db.close()
    store.connect(tmp_path / "queue.db").close()  # and it opens again


def test_what_is_no_database_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(errors.NotADatabase, match="header"):
        store.connect(path)
    assert path.read_bytes() == b"no database " * 1000


def test_the_database_of_another_application_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE bookmarks (url)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(errors.DatabaseForeign, match="belongs to another application"):
        store.connect(path)
    assert path.read_bytes() == before


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    db = store.connect(tmp_path / "queue.db")
    db.pragma("user_version", store.VERSION + 1)
    db.close()
    with pytest.raises(errors.DatabaseNewer, match="upgrade"):
        store.connect(tmp_path / "queue.db")


async def test_a_failing_function_changes_nothing_and_rings_no_bell(tmp_path: Path) -> None:
    opened = Store(tmp_path / "queue.db")

    def break_off(db: apsw.Connection) -> None:
        db.execute("UPDATE tally SET jobs = 99")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await opened.run(break_off)
    assert await opened.read(lambda db: db.execute("SELECT max(jobs) FROM tally").get) == 0
    assert opened.bell.rings == 0
    opened.close()


async def test_the_bell_rings_after_the_commit_and_is_not_missed(tmp_path: Path) -> None:
    opened = Store(tmp_path / "queue.db")
    seen = opened.bell.rings
    await opened.run(lambda db: db.execute("UPDATE tally SET jobs = 1"))
    await asyncio.wait_for(opened.bell.wait(seen), 60)  # it rang before the wait began
    waiting = asyncio.create_task(opened.bell.wait(opened.bell.rings))
    await asyncio.sleep(0)
    assert not waiting.done()
    await opened.run(lambda db: db.execute("UPDATE tally SET jobs = 2"))
    await asyncio.wait_for(waiting, 60)
    await opened.read(lambda db: db.execute("SELECT 1").get)
    assert opened.bell.rings == 2
    opened.close()


async def test_a_commit_whose_caller_was_cancelled_wakes_those_who_wait(tmp_path: Path) -> None:
    opened = Store(tmp_path / "queue.db")
    began, go_on = threading.Event(), threading.Event()

    def change(db: apsw.Connection) -> None:
        began.set()
        assert go_on.wait(20)
        db.execute("UPDATE tally SET jobs = 1")

    seen = opened.bell.rings
    running = asyncio.create_task(opened.run(change))
    await eventually(began.is_set)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    go_on.set()
    await asyncio.wait_for(opened.bell.wait(seen), 10)
    assert await opened.read(lambda db: db.execute("SELECT max(jobs) FROM tally").get) == 1
    opened.close()


async def test_a_full_disk_is_told_as_such_and_the_store_recovers(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        opened = Store(disk / "queue.db")

        def grow(db: apsw.Connection) -> None:
            for number in range(1000):
                values = (f"x{number}", b"x" * 4096)
                db.execute("INSERT INTO tally VALUES (?, length(?))", values)
                db.execute(f"CREATE TABLE t{number} AS SELECT zeroblob(4096) AS filler")

        with pytest.raises(errors.DiskFull, match="make room"):
            await opened.run(grow)
        assert await opened.read(lambda db: db.execute("SELECT count(*) FROM tally").get) == 5
        await opened.run(lambda db: db.execute("UPDATE tally SET jobs = 1"))
        opened.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


HOLD = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(database: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the write lock until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        yield other


async def test_the_lock_of_another_process_is_waited_for(tmp_path: Path) -> None:
    opened = Store(tmp_path / "queue.db", busy_timeout=0.1)

    def count(db: apsw.Connection) -> int:
        db.execute("UPDATE tally SET jobs = jobs + 1 WHERE state = 'queued'")
        return db.changes()

    with held(tmp_path / "queue.db") as other:
        with pytest.raises(errors.DatabaseBusy) as caught:
            await opened.run(count)
        assert (caught.value.code, caught.value.status) == ("busy", 503)
        insisting = asyncio.create_task(opened.insist(count))
        with pytest.raises(errors.DatabaseBusy):  # the first try of the other was before this one
            await opened.run(count)
        assert await opened.read(lambda db: db.execute("SELECT max(jobs) FROM tally").get) == 0
        assert not insisting.done()
        other.communicate(b"")
        assert await asyncio.wait_for(insisting, 60) == 1
    assert await opened.read(lambda db: db.execute("SELECT max(jobs) FROM tally").get) == 1
    assert not opened.failed.is_set()
    opened.close()


async def test_the_event_loop_goes_on_while_the_lock_is_waited_for(tmp_path: Path) -> None:
    opened = Store(tmp_path / "queue.db", busy_timeout=20.0)
    with held(tmp_path / "queue.db") as other:
        waiting = asyncio.create_task(
            opened.run(lambda db: db.execute("UPDATE tally SET jobs = 1").fetchall())
        )
        for _ in range(50):
            await asyncio.sleep(0.01)
            assert await opened.read(lambda db: db.execute("SELECT max(jobs) FROM tally").get) == 0
        assert not waiting.done()
        other.communicate(b"")
    await waiting
    opened.close()


async def test_all_wait_for_a_lock_at_the_same_time(tmp_path: Path) -> None:
    opened = Store(tmp_path / "queue.db", busy_timeout=0.5)
    other = apsw.Connection(str(tmp_path / "queue.db"))
    other.execute("BEGIN IMMEDIATE")
    one_by_one = 120 * 0.5  # seconds
    async with asyncio.timeout(one_by_one / 2):
        tried = [opened.run(lambda db: db.changes()) for _ in range(120)]
        refused = await asyncio.gather(*tried, return_exceptions=True)
    assert {type(error) for error in refused} == {errors.DatabaseBusy}
    other.close()
    opened.close()


async def test_who_insists_gives_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.0)
    opened = Store(tmp_path / "queue.db", busy_timeout=0.01)
    other = apsw.Connection(str(tmp_path / "queue.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.DatabaseBusy):
        await opened.insist(lambda db: db.execute("UPDATE tally SET jobs = 1"))
    other.close()
    opened.close()


async def test_a_mistake_in_a_statement_is_no_fault_of_the_machine(tmp_path: Path) -> None:
    opened = Store(tmp_path / "queue.db")
    with pytest.raises(apsw.SQLError, match="no such table"):
        await opened.run(lambda db: db.execute("SELECT 1 FROM missing"))
    opened.close()
