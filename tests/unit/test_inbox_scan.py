from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import pytest

from scriberrd.inbox.rules import wanted
from scriberrd.inbox.scan import Found, scan
from scriberrd.model import Identity


def look(root: Path, *, recursive: bool = True) -> tuple[dict[bytes, Identity], dict[bytes, str]]:
    problems: dict[bytes, str] = {}
    found = scan(
        root,
        recursive=recursive,
        wanted=partial(wanted, extensions=("wav",)),
        unreadable=lambda path, error: problems.update({path: str(error.strerror)}),
    )
    return dict(found), problems


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
    walk = scan(tmp_path, recursive=True, wanted=lambda _: True, unreadable=print)
    assert isinstance(next(walk), Found)
    del walk
    assert os.listdir("/proc/self/fd") == before
