"""An inbox of several file systems: real mounts, and what is made of them."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from support import bound, eventually, fused, mounted
from watched import SLOW, watching

from scriberrd.config import Inbox
from scriberrd.files import mounts
from scriberrd.inbox.areas import areas, polls

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from watched import Queue


def inbox_of(path: Path, *, recursive: bool = True) -> Inbox:
    return Inbox(name="inbox", path=path, output=path, recursive=recursive)


def prefixes(path: Path) -> list[bytes]:
    return [one.prefix for one in areas(inbox_of(path)) if one.twin is None]


def twins(path: Path) -> dict[bytes, bytes]:
    return {one.prefix: one.twin for one in areas(inbox_of(path)) if one.twin is not None}


def state(queue: Queue, prefix: str) -> tuple[str, str | None] | None:
    """How an area is watched."""
    found = [one for one in queue.watching.mounts if one.path == prefix]
    return (found[0].state, found[0].reason) if found else None


def test_a_mount_below_is_an_area_of_its_own(tmp_path: Path) -> None:
    share = tmp_path / "a folder" / "share"
    share.mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    with mounted(share), mounted(tmp_path / ".hidden/x"), mounted(share / "inner"):
        own, outer, inner = areas(inbox_of(tmp_path))
        assert (own.prefix, own.place) == (b"", tmp_path)
        assert own.root == (os.stat(tmp_path).st_dev, os.stat(tmp_path).st_ino)
        assert own.without == {b"a folder/share", b"a folder/share/inner"}
        assert (outer.prefix, outer.place, outer.root) == (b"a folder/share", share, None)
        assert (outer.mount.kind, outer.mount.point) == ("tmpfs", os.fsencode(share))
        assert inner.place == share / "inner"
        (single,) = areas(inbox_of(tmp_path, recursive=False))
        assert single.without == frozenset()


def test_the_latest_of_several_mounts_at_a_place_counts(tmp_path: Path) -> None:
    share = tmp_path / "share"
    with mounted(share):
        first = areas(inbox_of(tmp_path))[1]
        with mounted(share):
            second = areas(inbox_of(tmp_path))[1]
            assert first.mount.id != second.mount.id
        assert areas(inbox_of(tmp_path))[1] == first


def test_what_another_mount_hides_is_not_there(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    with mounted(outer / "inner"):
        assert prefixes(tmp_path) == [b"", b"outer/inner"]
        with mounted(outer):
            assert prefixes(tmp_path) == [b"", b"outer"]


def test_what_is_shown_twice_is_watched_once(tmp_path: Path) -> None:
    root = tmp_path / "inbox"
    for name in ("a/b", "again", ".hidden", "other"):
        (root / name).mkdir(parents=True)
    with bound(root / "a", root / "again"):
        assert prefixes(root) == [b""]
        assert twins(root) == {b"again": b"a"}
        assert b"again" in areas(inbox_of(root))[0].without
    with bound(root / ".hidden", root / "other"):  # seen at one place only
        assert prefixes(root) == [b"", b"other"]
        assert twins(root) == {}
    with mounted(root / "a"), bound(root / "a", root / "other"):
        assert prefixes(root) == [b"", b"a"]
        assert twins(root) == {b"other": b"a"}
    with bound(root / "a", root / "other"), mounted(root / "a"):  # no longer seen at the first
        assert prefixes(root) == [b"", b"a", b"other"]
        assert twins(root) == {}
    with bound(tmp_path, root / "other"):
        assert areas(inbox_of(root))[1].without == {b"other/inbox"}
        assert twins(root) == {b"other/inbox": b""}


def test_why_an_area_is_polled(tmp_path: Path) -> None:
    (area,) = areas(inbox_of(tmp_path))
    local = area._replace(mount=area.mount._replace(kind="ext4"))
    share = area._replace(mount=area.mount._replace(kind="fuse.sshfs"))
    assert [polls(local, watch) for watch in ("auto", "inotify")] == [None, None]
    assert polls(local, "poll") == 'watch = "poll"'
    assert polls(share, "auto") == "fuse.sshfs tells nothing of changes made elsewhere"
    assert polls(share, "inotify") is None


def test_a_place_of_no_known_mount(tmp_path: Path) -> None:
    """As in a chroot, whose own root is not in the table."""
    assert mounts.of(os.fsencode(tmp_path), {}).kind == "an unknown file system"


async def test_mounts_are_told_of_once_each(tmp_path: Path) -> None:
    told: list[int] = []
    mounting = mounts.Mounting(lambda: told.append(1))
    with mounted(tmp_path / "x"):
        await eventually(lambda: told)
        before = len(told)
        assert before <= 2
    await eventually(lambda: len(told) > before)
    mounting.close()


async def test_a_mount_is_watched_as_long_as_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    share = tmp_path / "share"
    async with watching(tmp_path) as queue:
        mounting = mounts.Mounting(queue.watching.looking.set)
        for n in range(2):
            with mounted(share):
                await eventually(lambda: state(queue, "share") == ("watching", None))
                (share / f"{n}.wav").touch()
                await eventually(lambda n=n: b"share/%d.wav" % n in queue.accepted)
                if n == 0:
                    (tmp_path / "own.wav").touch()
                    await eventually(lambda: b"own.wav" in queue.accepted)
            await eventually(lambda: state(queue, "share") is None)
        assert queue.watching.state == "watching"
        mounting.close()
    assert len(queue.tried) == 3  # nothing is read again because others came and went
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["share: no longer mounted"] * 2


async def test_what_is_mounted_twice_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    root, source = tmp_path / "inbox", tmp_path / "source"
    source.mkdir()
    (source / "x.wav").touch()
    for name in ("b1", "b2"):
        (root / name).mkdir(parents=True)
    async with watching(root) as queue:
        with bound(source, root / "b2"):
            queue.watching.looking.set()
            await eventually(lambda: state(queue, "b2") == ("watching", None))
            with bound(source, root / "b1"):
                queue.watching.looking.set()
                await eventually(lambda: state(queue, "b1") == ("watching", None))
                assert state(queue, "b2") == ("duplicate", "the same as b1: watched there")
                await eventually(lambda: b"b1/x.wav" in queue.accepted)
                before = queue.watching.areas[0].passes
                queue.watching.rescan()
                await eventually(lambda: queue.watching.areas[0].passes > before)
                assert queue.watching.state == "watching"
    assert caplog.messages.count("b2: the same as b1: watched there") == 1
    assert "b2: no longer mounted" not in caplog.text


async def test_a_mounted_file_is_a_recording_as_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "source").touch()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "x.wav").touch()
    async with watching(inbox) as queue:
        with bound(tmp_path / "source", inbox / "x.wav"):
            queue.watching.looking.set()
            (inbox / "y.wav").touch()
            await eventually(lambda: {b"x.wav", b"y.wav"} <= queue.accepted.keys())
            await eventually(lambda: queue.watching.passes > 1 and queue.watching.idle)
            assert [one.path for one in queue.watching.mounts] == [""]
            assert queue.watching.state == "watching"
    assert [one.message for one in caplog.records if one.levelname == "WARNING"] == []


async def test_a_share_is_polled_and_the_rest_is_not(tmp_path: Path) -> None:
    root, source = tmp_path / "inbox", tmp_path / "source"
    root.mkdir()
    source.mkdir()
    with fused(source, root / "share"):
        async with watching(root, rescan=SLOW, watch="auto") as queue:
            reason = "fuse tells nothing of changes made elsewhere"
            await eventually(lambda: state(queue, "share") == ("polling", reason))
            assert (queue.watching.state, queue.watching.reason) == ("polling", f"share: {reason}")
            own, share = queue.watching.areas
            before = own.passes, share.passes
            (source / "x.wav").touch()
            await eventually(lambda: b"share/x.wav" in queue.accepted)
            assert own.passes == before[0]
            assert share.passes > before[1]


async def test_a_root_that_is_turned_moved_or_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link, first, second = (tmp_path / name for name in ("link", "first", "second"))
    first.mkdir()
    second.mkdir()
    link.symlink_to(first)
    async with watching(link) as queue:
        (second / "a.wav").touch()
        (tmp_path / "new").symlink_to(second)
        (tmp_path / "new").rename(link)
        await eventually(lambda: b"a.wav" in queue.accepted, within=10)
        second.rename(tmp_path / "elsewhere")
        await eventually(lambda: queue.watching.state == "unavailable")
        second.mkdir()
        (second / "b.wav").touch()
        await eventually(lambda: b"b.wav" in queue.accepted, within=10)
        (second / "c.wav").touch()
        await eventually(lambda: b"c.wav" in queue.accepted)
        shutil.rmtree(second)
        await eventually(lambda: queue.watching.state == "unavailable")
    assert caplog.text.count("unavailable") == 2
