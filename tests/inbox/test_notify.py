"""What the kernel tells, and what is done where it can't."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import eventually

from scriberrd.inbox.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def notifier(root: Path) -> Iterator[tuple[Notifier, asyncio.Event]]:
    """One that watches a folder and those below it."""
    changed = asyncio.Event()
    notifier = Notifier(changed)
    try:
        enter(notifier, root)
        yield notifier, changed
    finally:
        notifier.close()


def enter(notifier: Notifier, root: Path) -> set[tuple[int, int]]:
    entered = set()
    for folder, _, _ in os.walk(root):
        descriptor = os.open(folder, os.O_RDONLY)
        entered.add(notifier.watch(descriptor))
        os.close(descriptor)
    return entered


def make_tree(inbox: Path, outside: Path) -> None:
    (outside / "tree/a/b").mkdir(parents=True)
    (outside / "tree/a/b/x.wav").touch()
    (outside / "tree").rename(inbox / "tree")


WAYS: dict[str, Callable[[Path, Path], object]] = {
    "made": lambda inbox, _: (inbox / "new.wav").touch(),
    "renamed in": lambda inbox, outside: (outside / "x.wav").rename(inbox / "x.wav"),
    "a hard link": lambda inbox, outside: (inbox / "x.wav").hardlink_to(outside / "x.wav"),
    "replaced": lambda inbox, outside: (outside / "x.wav").replace(inbox / "old.wav"),
    "renamed": lambda inbox, _: (inbox / "old.wav").rename(inbox / "other.wav"),
    "moved away": lambda inbox, outside: (inbox / "old.wav").rename(outside / "old.wav"),
    "written over": lambda inbox, _: (inbox / "old.wav").write_bytes(b"new"),
    "deleted": lambda inbox, _: (inbox / "old.wav").unlink(),
    "opened": lambda inbox, _: (inbox / "closed").chmod(0o755),
    "folders at once": lambda inbox, _: (inbox / "a/b/c").mkdir(parents=True),
    "a moved tree": make_tree,
    "a folder below": lambda inbox, _: (inbox / "closed/x.wav").touch(),
    "the root moved": lambda inbox, outside: inbox.rename(outside / "inbox"),
    "the root deleted": lambda inbox, _: shutil.rmtree(inbox),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_change_is_told_however_it_is_made(tmp_path: Path, way: str) -> None:
    inbox, outside = tmp_path / "inbox", tmp_path / "outside"
    (inbox / "closed").mkdir(parents=True)
    outside.mkdir()
    (inbox / "old.wav").touch()
    (outside / "x.wav").touch()
    with notifier(inbox) as (_, changed):
        WAYS[way](inbox, outside)
        await eventually(changed.is_set)


async def test_what_we_write_or_read_ourselves_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound")
    with notifier(tmp_path) as (notifier_, changed):
        seen: list[bytes] = []
        on_event = notifier_.on_event
        notifier_.on_event = lambda event: on_event(event) or seen.append(event.name)  # type: ignore[method-assign,func-returns-value]
        (tmp_path / ".scriberrd-1.part").touch()
        (tmp_path / ".scriberrd-1.part").rename(tmp_path / "x.json")
        (tmp_path / "x.txt").write_text("words")
        (tmp_path / "x.txt").unlink()
        (tmp_path / "x.wav").read_bytes()
        os.listdir(tmp_path)
        (tmp_path / "x.rttm").touch()
        await eventually(lambda: b"x.rttm" in seen)
        assert not changed.is_set()
        (tmp_path / "notes.txt").mkdir()  # a folder is news, whatever it is called
        await eventually(changed.is_set)


async def test_a_storm_is_one_hint(tmp_path: Path) -> None:
    hints: list[object] = []
    with notifier(tmp_path) as (notifier_, changed):
        changed.set = lambda: hints.append(1)  # type: ignore[method-assign]
        for n in range(1000):
            (tmp_path / f"{n}.wav").touch()
        await eventually(lambda: hints)
        (tmp_path / "last").mkdir()
        await asyncio.sleep(0)
        assert len(hints) == 1
        notifier_.listen()
        (tmp_path / "more.wav").touch()
        await eventually(lambda: len(hints) == 2)


async def test_a_folder_is_watched_once_and_forgotten_when_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    outside = tmp_path.with_name("outside")
    with notifier(tmp_path) as (notifier_, changed):
        descriptors = len(os.listdir("/proc/self/fd"))
        assert watches() == 3
        entered = enter(notifier_, tmp_path)
        assert watches() == 3
        (tmp_path / "a").rename(outside)
        await eventually(changed.is_set)
        notifier_.forget(enter(notifier_, tmp_path))
        assert len(entered) == 3
        assert watches() == 1
        (tmp_path / "c").mkdir()
        enter(notifier_, tmp_path)
        (tmp_path / "c").rmdir()
        await eventually(lambda: watches() == 1)
        (tmp_path / "c").mkdir()  # often with the number of the one before
        await eventually(lambda: len(enter(notifier_, tmp_path)) == watches() == 2)
        assert len(os.listdir("/proc/self/fd")) == descriptors


def watches() -> int:
    """How many there are in this process: proc(5), fdinfo."""
    found = 0
    for descriptor in os.listdir("/proc/self/fdinfo"):
        try:
            found += Path("/proc/self/fdinfo", descriptor).read_text().count("inotify wd:")
        except OSError:  # the one of the listing
            continue
    return found


def test_a_notification_after_the_end_of_the_loop_is_harmless(tmp_path: Path) -> None:
    async def begin() -> Notifier:
        return Notifier(asyncio.Event())

    notifier_ = asyncio.run(begin())
    enter(notifier_, tmp_path)
    seen: list[bytes] = []
    on_event = notifier_.on_event
    notifier_.on_event = lambda event: seen.append(event.name) or on_event(event)  # type: ignore[method-assign,func-returns-value]
    for n in range(3):
        notifier_.listen()
        (tmp_path / f"{n}.wav").touch()
        asyncio.run(eventually(lambda n=n: b"%d.wav" % n in seen))
    assert notifier_.alive()
    notifier_.close()


LIMITED = """
import asyncio, logging, pathlib, sys
sys.path[:0] = sys.argv[2:]
from watched import watching
from support import eventually

logging.basicConfig(format="%(message)s", level="INFO")
root = pathlib.Path(sys.argv[1])
limit = pathlib.Path("/proc/sys/user")

async def main():
    (limit / "max_inotify_instances").write_text("0")
    async with watching(root, rescan=0.05) as queue:
        await eventually(lambda: queue.watching.state == "polling")
        (root / "x.wav").touch()
        await eventually(lambda: b"x.wav" in queue.accepted)
        (limit / "max_inotify_instances").write_text("99")
        await eventually(lambda: queue.watching.state == "watching")
        (limit / "max_inotify_watches").write_text("2")
        (root / "a/b/c").mkdir(parents=True)
        (root / "a/b/c/y.wav").touch()
        await eventually(lambda: queue.watching.state == "polling")
        await eventually(lambda: b"a/b/c/y.wav" in queue.accepted)
        (limit / "max_inotify_watches").write_text("99")
        await eventually(lambda: queue.watching.state == "watching")

asyncio.run(main())
"""


def test_beyond_the_limits_an_area_is_polled_and_watched_again_below_them(tmp_path: Path) -> None:
    """In a user namespace the limits of inotify can be set for one process."""
    command = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not permitted")
    here = Path(__file__).parent
    done = subprocess.run(
        [*command, sys.executable, "-c", LIMITED, tmp_path, here, here.parent],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    limits = {
        key: Path(f"/proc/sys/fs/inotify/max_user_{key}").read_text().strip()
        for key in ("instances", "watches")
    }
    reasons = [
        f"out of inotify {key} (fs.inotify.max_user_{key} = {limits[key]})" for key in limits
    ]
    assert done.stderr.splitlines() == [
        f"polling: {reasons[0]}",
        f"watching {tmp_path}",
        f"polling: {reasons[1]}",
        f"watching {tmp_path}",
    ]
