from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support import eventually
from watched import SLOW, Frozen, watching

from scriberrd.errors import (
    DiskFull,
    InboxUnavailable,
    InvalidRequest,
    OutputUnavailable,
    SourceChanged,
)
from scriberrd.inbox import area as area_module
from scriberrd.inbox import lanes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def test_what_lies_there_already_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound")
    async with watching(tmp_path) as queue:
        assert queue.watching.state == "watching"
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
        watched = queue.watching
        with (tmp_path / "x.wav").open("wb") as copy:
            for _ in range(4):
                copy.write(b"sound" * 1000)
                copy.flush()
                clock.now += 9.9
                seen = watched.passes + 2
                await eventually(lambda seen=seen: watched.passes >= seen)
                assert queue.tried == []
        seen = watched.passes + 2
        await eventually(lambda: watched.passes >= seen)
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
        looks = queue.watching.passes
        for _ in range(100):
            (tmp_path / "x.wav").read_bytes()
        (tmp_path / "y.wav").touch()  # its notification comes after all that reading made
        await eventually(lambda: len(queue.accepted) == 2)
        assert queue.watching.passes <= looks + 2


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


async def test_trouble_of_the_outputs_is_told_once_and_waited_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    why = "its output folder can't be looked at: No such file or directory"
    names = [b"a.wav", b"b.wav"]
    async with watching(tmp_path, rescan=0.01) as queue:
        watched = queue.watching
        queue.failing = dict.fromkeys(names, OutputUnavailable(errno.ENOENT, why))
        for name in names:
            (tmp_path / name.decode()).touch()
        await eventually(lambda: min(queue.tried.count(name) for name in names) > 2)
        assert (watched.settling, watched.changing, watched.left) == ({}, 0, 2)
        assert (watched.mounts[0].state, watched.mounts[0].reason) == ("watching", why)
        queue.failing = {}
        await eventually(lambda: len(queue.accepted) == 2)
        await eventually(lambda: watched.left == 0 and watched.mounts[0].reason is None)
    assert caplog.text.count(f"nothing is queued: {why}") == 1


async def test_what_is_refused_again_for_the_same_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(tmp_path, rescan=0.01) as queue:
        for reason in ("no", "still no"):
            queue.failing[b"a.wav"] = InvalidRequest(reason)
            (tmp_path / "a.wav").touch()
            await eventually(lambda reason=reason: reason in caplog.text)
            tried = len(queue.tried)
            await eventually(lambda tried=tried: len(queue.tried) > tried + 2)
    assert [one.message for one in caplog.records if one.levelname == "WARNING"] == [
        "'a.wav' was not accepted: no",
        "'a.wav' was not accepted: still no",
    ]


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
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "POLL", 0.05)
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    os.utime(tmp_path / "a.wav", (0, 0))
    async with watching(tmp_path, rescan=SLOW) as queue:
        await eventually(lambda: len(queue.accepted) == 2)
        queue.failing[b"a.wav"] = DiskFull("no space left")
        (tmp_path / "a.wav").write_bytes(b"new")
        await eventually(lambda: "no space left" in caplog.text)
        queue.failing.clear()
        (tmp_path / "c.wav").touch()
        await eventually(lambda: queue.accepted[b"a.wav"].identity.size == 3)


async def test_trouble_makes_no_haste(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while a file is due."""
    monkeypatch.setattr(area_module, "POLL", SLOW)
    monkeypatch.setattr(lanes, "POLL", SLOW)
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
        before = (queue.watching.passes, len(queue.batches), len(queue.tried))
        others = untroubled.watching.passes
        await eventually(lambda: untroubled.watching.passes >= others + 5)
        assert before == (queue.watching.passes, len(queue.batches), len(queue.tried))
    assert caplog.text.count("no space left") == 1


async def test_a_root_that_goes_and_comes_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = tmp_path / "inbox"
    (root / "sub").mkdir(parents=True)
    async with watching(root, rescan=0.05) as queue:
        for n in range(3):
            await eventually(lambda: queue.watching.state == "watching")
            (root / f"{n}.wav").touch()
            await eventually(lambda n=n: b"%d.wav" % n in queue.accepted)
            shutil.rmtree(root)
            await eventually(lambda: queue.watching.state == "unavailable")
            assert queue.watching.reason == "No such file or directory"
            (root / "sub").mkdir(parents=True)
        await eventually(lambda: queue.watching.state == "watching")
    lines = [record.message for record in caplog.records if record.name == "scriberrd.inbox.area"]
    assert lines[1::2] == ["unavailable: No such file or directory"] * 3
    assert lines[::2] == [f"watching {root}"] * 4


async def test_an_inbox_that_goes_while_files_are_handed_over(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    os.utime(tmp_path / "a.wav", (0, 0))
    async with watching(tmp_path, rescan=0.05) as queue:
        await eventually(lambda: len(queue.accepted) == 2)
        queue.failing[b"a.wav"] = InboxUnavailable(5, "Input/output error")
        (tmp_path / "a.wav").write_bytes(b"new")
        await eventually(lambda: queue.watching.state == "unavailable")
        queue.failing.clear()
        await eventually(lambda: queue.accepted[b"a.wav"].identity.size == 3)
        await eventually(lambda: queue.watching.state == "watching")


async def test_what_is_known_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2000):
        (tmp_path / f"{n}.wav").touch()
    async with watching(tmp_path) as queue:
        await eventually(lambda: len(queue.accepted) == 2000)
        queue.watching.areas[0].rescan()
        await eventually(lambda: sum(queue.batches) == 4000)  # once more, since it is queued now
        (tmp_path / "one.wav").touch()
        (tmp_path / "7.wav").unlink()
        await eventually(lambda: b"one.wav" in queue.accepted)
        assert sum(queue.batches) <= 4002
        asked = sum(queue.batches)
        queue.watching.rescan()
        await eventually(lambda: sum(queue.batches) == asked + 2000)
        monkeypatch.setattr(area_module, "FORGET", 0.0)
        for _ in range(2):  # the time that is set now counts from the next one on
            queue.watching.areas[0].rescan(forget=True)
            seen = queue.watching.passes
            await eventually(lambda seen=seen: queue.watching.passes > seen)
        asked = sum(queue.batches)
        queue.watching.areas[0].rescan()
        await eventually(lambda: sum(queue.batches) == asked + 2000)
        assert len(queue.tried) == 2001


async def test_what_was_leaving_holds_up_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".scriberrd-leaving-1.x.wav").touch()
    (tmp_path / "y.wav").touch()
    async with watching(tmp_path) as queue:
        await eventually(lambda: queue.accepted and queue.leaving)
    assert set(queue.leaving) == {b".scriberrd-leaving-1.x.wav"}
    assert caplog.text == ""


async def test_what_settles_is_counted_and_asked_for_once(tmp_path: Path) -> None:
    clock = Frozen()
    for n in range(3):
        (tmp_path / f"{n}.wav").touch()
    async with watching(tmp_path, settle=10, rescan=0.01, clock=clock) as queue:
        watched = queue.watching
        assert (watched.changing, watched.idle) == (3, False)
        assert watched.settling == {b"%d.wav" % n: 10.0 for n in range(3)}
        seen = watched.passes + 3
        await eventually(lambda: watched.passes >= seen)
        assert queue.batches == [3]
        clock.now += 10
        await eventually(lambda: watched.idle)
        assert len(queue.accepted) == 3


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
