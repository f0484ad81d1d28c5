from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from scriberrd.config import Inbox
from scriberrd.errors import InboxUnavailable
from scriberrd.inbox.areas import areas
from scriberrd.inbox.rules import Rules
from scriberrd.inbox.scan import Found, Notes, Scan
from scriberrd.model import Identity


def scans(root: Path, **keys: Any) -> list[Scan]:
    """One of each area."""
    inbox = Inbox(name="inbox", path=root, output=root, extensions=("wav",), **keys)
    return [
        Scan(area, inbox, Rules(inbox), Notes({}), lambda _: None, lambda: None)
        for area in areas(inbox)
        if area.twin is None
    ]


def look(root: Path, **keys: Any) -> tuple[dict[bytes, Identity], dict[bytes, str]]:
    found: dict[bytes, Identity] = {}
    problems: dict[bytes, str] = {}
    for scan in scans(root, **keys):
        files = list(scan.files())
        assert not found.keys() & dict(files).keys()
        found |= dict(files)
        problems |= scan.notes.unreadable
    return found, problems


def test_regular_files_are_found_whatever_their_names(tmp_path: Path) -> None:
    names = [b"x.wav", b"\xff.wav", b"a/b/c.WAV", b"two\nlines.wav", b"n" * 251 + b".wav"]
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "a/.hidden").mkdir()
    (tmp_path / "a/.hidden/x.wav").touch()
    expected = {}
    for name in names:
        file = tmp_path / os.fsdecode(name)
        file.write_bytes(b"sound")
        expected[name] = Identity.of(file.stat())
    assert look(tmp_path) == (expected, {})
    del expected[b"a/b/c.WAV"]
    assert look(tmp_path, recursive=False) == (expected, {})


def test_only_regular_files_count_and_nothing_blocks(tmp_path: Path) -> None:
    inbox, secret = tmp_path / "inbox", tmp_path / "secret"
    inbox.mkdir()
    secret.mkdir()
    (secret / "x.wav").touch()
    (inbox / "folder.wav").mkdir()
    (inbox / "link.wav").symlink_to(secret / "x.wav")
    (inbox / "folder").symlink_to(secret)
    (inbox / "loop").symlink_to(inbox)
    os.mkfifo(inbox / "fifo.wav")
    if os.geteuid() == 0:
        os.mknod(inbox / "device.wav", 0o20666, os.makedev(1, 3))
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s")
        os.rename(f"{short}/s", inbox / "socket.wav")
    assert look(inbox) == ({}, {})


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/x.wav").touch()
    (tmp_path / "link").symlink_to("inbox")
    assert set(look(tmp_path / "link")[0]) == {b"x.wav"}


def test_an_unreadable_folder_does_not_stop_the_walk() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "a").mkdir()
        (root / "closed").mkdir(mode=0)
        (root / "a/x.wav").touch()
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            found, problems = look(root)
        finally:
            os.seteuid(before)
    assert set(found) == {b"a/x.wav"}
    assert problems == {b"closed": "Permission denied"}


def test_a_folder_that_is_mounted_within_itself_is_entered_once(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (tmp_path / "a/x.wav").touch()
    command = ["mount", "--bind", tmp_path / "a", inner]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted")
    try:
        assert len(look(tmp_path)[0]) == 1
    finally:
        subprocess.run(["umount", inner], check=True)


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        look(tmp_path / "file")


def test_a_walk_that_is_given_up_leaves_nothing_open(tmp_path: Path) -> None:
    for n in range(10):
        (tmp_path / f"{n}.wav").touch()
    before = os.listdir("/proc/self/fd")
    (scan,) = scans(tmp_path)
    walk = scan.files()
    assert isinstance(next(walk), Found)
    del walk
    assert os.listdir("/proc/self/fd") == before


def test_what_is_known_is_not_listed_again(tmp_path: Path) -> None:
    for name in ("a/x.wav", "a/y.wav", "z.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.wav").symlink_to("z.wav")
    os.mkfifo(tmp_path / "fifo.wav")
    (scan,) = scans(tmp_path)
    first = {file.path: file for file in scan.files()}
    assert set(first) == {b"a/x.wav", b"a/y.wav", b"z.wav"}
    assert scan.notes.ignored == {"link": 1, "special": 1}
    (tmp_path / "a/y.wav").write_bytes(b"new")
    (tmp_path / "z.wav").unlink()
    known = scan.notes.seen | {file.mark: None for file in first.values()}
    again = Scan(scan.area, scan.inbox, scan.rules, Notes(known), lambda _: None, lambda: None)
    assert [file.path for file in again.files()] == [b"a/y.wav"]
    assert again.notes.ignored == {"link": 1, "special": 1}
    marks = {mark for mark, kind in again.notes.seen.items() if kind is None}
    assert marks == {first[b"a/x.wav"].mark}  # what is gone is forgotten


def test_recordings_on_their_way_out_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.scriberrd-leaving-12.x.wav").touch()
    (scan,) = scans(tmp_path)
    assert list(scan.files()) == []
    assert scan.notes.left == [b"a/.scriberrd-leaving-12.x.wav"]


def test_every_folder_is_told_of_before_it_is_listed(tmp_path: Path) -> None:
    """So what comes into it afterwards is not missed."""
    (tmp_path / "a/b").mkdir(parents=True)
    (scan,) = scans(tmp_path)
    entered: list[str] = []

    def enter(folder: int) -> None:
        name = os.readlink(f"/proc/self/fd/{folder}")
        entered.append(os.path.relpath(name, tmp_path))
        (Path(name) / "late.wav").touch()

    scan = Scan(scan.area, scan.inbox, scan.rules, scan.notes, enter, lambda: None)
    assert {file.path for file in scan.files()} == {b"late.wav", b"a/late.wav", b"a/b/late.wav"}
    assert sorted(entered) == [".", "a", "a/b"]


def test_a_root_that_was_replaced_is_not_listed_for_the_other(tmp_path: Path) -> None:
    root = tmp_path / "inbox"
    root.mkdir()
    (scan,) = scans(root)
    root.rename(tmp_path / "old")
    root.mkdir()
    with pytest.raises(InboxUnavailable):
        list(scan.files())


def test_links_count_as_what_they_lead_to_where_that_is_allowed(tmp_path: Path) -> None:
    inbox, allowed, secret = (tmp_path / name for name in ("inbox", "allowed", "secret"))
    for folder in (inbox, allowed, secret):
        folder.mkdir()
        (folder / "x.wav").write_bytes(b"sound")
    (inbox / "good.wav").symlink_to(allowed / "x.wav")
    (inbox / "bad.wav").symlink_to(secret / "x.wav")
    (inbox / "sly.wav").symlink_to(allowed / "../secret/x.wav")
    (inbox / "dangling.wav").symlink_to(allowed / "none.wav")
    (inbox / "folder.wav").symlink_to(allowed)
    found, problems = look(inbox, symlinks="files", link_targets=(allowed,))
    assert set(found) == {b"x.wav", b"good.wav"}
    assert found[b"good.wav"] == Identity.of((allowed / "x.wav").stat())
    assert problems == {}
    assert set(look(inbox)[0]) == {b"x.wav"}
