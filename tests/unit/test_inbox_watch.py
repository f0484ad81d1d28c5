from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, cast

import pytest
from support import eventually

from scriberrd.config import Inbox
from scriberrd.errors import DiskFull, InboxUnavailable, SourceChanged
from scriberrd.files.folders import Folders
from scriberrd.inbox import watch as inbox_module
from scriberrd.inbox.watch import Found, Watching, watch
from scriberrd.toml import Seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from scriberrd.model import Clock

SLOW = 3600.0  # a rescan that does not come: only notifications and due times count


class Frozen:
    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    monotonic = time


class Queue:
    def __init__(self) -> None:
        self.status = Watching()
        self.accepted: dict[bytes, Found] = {}
        self.batches: list[int] = []
        self.failing: dict[bytes, Exception] = {}
        self.tried: list[bytes] = []
        self.trouble: Exception | None = None

    async def unknown(self, batch: list[Found]) -> list[Found]:
        self.batches.append(len(batch))
        if self.trouble:
            raise self.trouble
        return [file for file in batch if self.accepted.get(file.path) != file]

    async def accept(self, file: Found) -> None:
        self.tried.append(file.path)
        if error := self.failing.get(file.path):
            raise error
        self.accepted[file.path] = file


@asynccontextmanager
async def watching(
    root: Path,
    *,
    settle: float = 0.0,
    rescan: float = SLOW,
    clock: Clock | None = None,
    recursive: bool = True,
) -> AsyncIterator[Queue]:
    inbox = Inbox(name="inbox", path=root, output=root, settle=Seconds(settle), recursive=recursive)
    queue = Queue()
    task = asyncio.create_task(
        watch(
            inbox,
            unknown=queue.unknown,
            accept=queue.accept,
            rescan=rescan,
            clock=clock or cast("Clock", time),
            folders=Folders(),
            status=queue.status,
        )
    )
    try:
        await eventually(lambda: queue.status.state != "starting" or task.done())
        yield queue
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_what_lies_there_already_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound")
    async with watching(tmp_path) as queue:
        assert queue.status.state == "watching"
        await eventually(lambda: set(queue.accepted) == {b"x.wav"})


async def test_what_comes_is_noticed_however_it_comes(tmp_path: Path) -> None:
    inbox, outside = tmp_path / "inbox", tmp_path / "outside"
    inbox.mkdir()
    outside.mkdir()
    for name in ("renamed", "linked"):
        (outside / f"{name}.wav").touch()
    async with watching(inbox) as queue:
        (inbox / "made.wav").touch()
        await eventually(lambda: b"made.wav" in queue.accepted)
        (outside / "renamed.wav").rename(inbox / "renamed.wav")
        await eventually(lambda: b"renamed.wav" in queue.accepted)
        (inbox / "linked.wav").hardlink_to(outside / "linked.wav")
        await eventually(lambda: b"linked.wav" in queue.accepted)
        (inbox / "a/b").mkdir(parents=True)
        (inbox / "a/b/deep.wav").touch()
        await eventually(lambda: b"a/b/deep.wav" in queue.accepted)
        old = queue.accepted[b"made.wav"]
        (outside / "new.wav").write_bytes(b"new")
        (outside / "new.wav").rename(inbox / "made.wav")
        await eventually(lambda: queue.accepted[b"made.wav"] != old)
        (inbox / "made.wav").write_bytes(b"written over")
        await eventually(lambda: queue.accepted[b"made.wav"].identity.size == 12)


async def test_subfolders_are_left_alone_when_not_recursive(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.wav").touch()
    async with watching(tmp_path, recursive=False) as queue:
        (tmp_path / "x.wav").touch()
        await eventually(lambda: set(queue.accepted) == {b"x.wav"})


async def test_a_slow_copy_is_not_taken_early(tmp_path: Path) -> None:
    clock = Frozen()
    async with watching(tmp_path, settle=10, rescan=0.01, clock=clock) as queue:
        looks = queue.batches
        with (tmp_path / "x.wav").open("wb") as copy:
            for _ in range(4):
                copy.write(b"sound" * 1000)
                copy.flush()
                clock.now += 9.9
                seen = len(looks) + 2
                await eventually(lambda seen=seen: len(looks) >= seen)
                assert queue.tried == []
        seen = len(looks) + 2
        await eventually(lambda: len(looks) >= seen)
        clock.now += 10
        await eventually(lambda: queue.accepted)
    assert queue.accepted[b"x.wav"].identity.size == 20_000


async def test_a_file_is_taken_when_it_is_due_without_any_notification(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    async with watching(tmp_path, settle=0.5) as queue:
        assert queue.tried == []
        await eventually(lambda: queue.accepted)


async def test_three_thousand_at_once(tmp_path: Path) -> None:
    async with watching(tmp_path, settle=0.3) as queue:
        await asyncio.to_thread(lambda: [(tmp_path / f"{n}.wav").touch() for n in range(3000)])
        await eventually(lambda: len(queue.accepted) == 3000)
        assert len(queue.tried) == 3000
        assert max(queue.batches) <= 1000


async def test_the_oldest_is_taken_first(tmp_path: Path) -> None:
    for n in (2, 0, 1):
        (tmp_path / f"{n}.wav").touch()
        os.utime(tmp_path / f"{n}.wav", (n, n))
    async with watching(tmp_path) as queue:
        await eventually(lambda: queue.tried == [b"0.wav", b"1.wav", b"2.wav"])


async def test_reading_makes_no_work(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound")
    async with watching(tmp_path) as queue:
        await eventually(lambda: queue.accepted)
        looks = len(queue.batches)
        for _ in range(100):
            (tmp_path / "x.wav").read_bytes()
        (tmp_path / "y.wav").touch()  # its notification comes after all that reading made
        await eventually(lambda: len(queue.accepted) == 2)
        assert len(queue.batches) <= looks + 2


async def test_one_that_fails_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wav").touch()
    clock = Frozen()
    async with watching(tmp_path, rescan=100, clock=clock) as queue:
        await eventually(lambda: len(queue.accepted) == 3)
        queue.failing[b"b.wav"] = RuntimeError("no")
        for name in ("a", "b", "c"):
            (tmp_path / f"{name}.wav").write_bytes(b"new")
        await eventually(lambda: queue.accepted[b"c.wav"].identity.size == 3)
        await eventually(lambda: "was not accepted" in caplog.text)
        tried = queue.tried.count(b"b.wav")
        assert "'b.wav' was not accepted" in caplog.text
        queue.failing.clear()
        (tmp_path / "d.wav").touch()
        await eventually(lambda: b"d.wav" in queue.accepted)
        assert queue.tried.count(b"b.wav") == tried  # not yet
        clock.now += 100
        (tmp_path / "e.wav").touch()
        await eventually(lambda: queue.accepted[b"b.wav"].identity.size == 3)


async def test_one_that_changes_while_it_is_read_settles_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(tmp_path) as queue:
        queue.failing[b"a.wav"] = SourceChanged(b"a.wav")
        (tmp_path / "a.wav").touch()
        await eventually(lambda: len(queue.tried) >= 2)
        queue.failing.clear()
        await eventually(lambda: queue.accepted)
    assert caplog.text == ""


async def test_trouble_of_the_queue_is_waited_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    os.utime(tmp_path / "a.wav", (0, 0))
    async with watching(tmp_path, rescan=SLOW) as queue:
        await eventually(lambda: len(queue.accepted) == 2)
        queue.failing[b"a.wav"] = DiskFull("no space left")
        (tmp_path / "a.wav").write_bytes(b"new")
        await eventually(lambda: "inbox inbox: no space left" in caplog.text)
        queue.failing.clear()
        (tmp_path / "c.wav").touch()
        await eventually(lambda: queue.accepted[b"a.wav"].identity.size == 3)


async def test_trouble_makes_no_haste(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while a file is due."""
    monkeypatch.setattr(inbox_module, "POLL", SLOW)
    other = tmp_path / "other"
    other.mkdir()
    (other / "y.wav").touch()
    root = tmp_path / "inbox"
    root.mkdir()
    async with watching(root, settle=0.3) as queue, watching(other, rescan=0.01) as untroubled:
        (root / "x.wav").touch()
        await eventually(lambda: 1 in queue.batches)
        queue.trouble = DiskFull("no space left")
        await eventually(lambda: "no space left" in caplog.text)
        looks, others = len(queue.batches), len(untroubled.batches)
        await eventually(lambda: len(untroubled.batches) >= others + 5)
        assert len(queue.batches) == looks
    assert caplog.text.count("no space left") == 1


async def test_a_root_that_goes_and_comes_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = tmp_path / "inbox"
    (root / "sub").mkdir(parents=True)
    async with watching(root, rescan=0.05) as queue:
        for n in range(3):
            await eventually(lambda: queue.status.state == "watching")
            (root / f"{n}.wav").touch()
            await eventually(lambda n=n: b"%d.wav" % n in queue.accepted)
            shutil.rmtree(root)
            await eventually(lambda: queue.status.state == "unavailable")
            assert queue.status.reason == "No such file or directory"
            (root / "sub").mkdir(parents=True)
        await eventually(lambda: queue.status.state == "watching")
    lines = [record.message for record in caplog.records if record.name == "scriberrd.inbox.watch"]
    assert lines[1::2] == ["inbox inbox: unavailable: No such file or directory"] * 3
    assert lines[::2] == [f"inbox inbox: watching {root}"] * 4


async def test_an_inbox_that_goes_while_files_are_handed_over(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    os.utime(tmp_path / "a.wav", (0, 0))
    async with watching(tmp_path, rescan=0.05) as queue:
        await eventually(lambda: len(queue.accepted) == 2)
        queue.failing[b"a.wav"] = InboxUnavailable(5, "Input/output error")
        (tmp_path / "a.wav").write_bytes(b"new")
        await eventually(lambda: queue.status.state == "unavailable")
        queue.failing.clear()
        await eventually(lambda: queue.accepted[b"a.wav"].identity.size == 3)
        await eventually(lambda: queue.status.state == "watching")


async def test_a_linked_root_is_watched(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "link").symlink_to("inbox")
    async with watching(tmp_path / "link") as queue:
        (tmp_path / "inbox/x.wav").touch()
        await eventually(lambda: queue.accepted)


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "tmpfs", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_file_system_that_is_mounted_over_the_root(tmp_path: Path) -> None:
    async with watching(tmp_path, rescan=0.05) as queue:
        with mounted(tmp_path):
            (tmp_path / "above.wav").touch()
            await eventually(lambda: b"above.wav" in queue.accepted)
        (tmp_path / "below.wav").touch()
        await eventually(lambda: b"below.wav" in queue.accepted)
