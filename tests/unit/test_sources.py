from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scriberrd.failures import FAILURES
from scriberrd.files.sources import (
    Fingerprint,
    InboxUnavailable,
    NotRegular,
    SourceChanged,
    failure_code,
    fingerprint,
    open_source,
    open_version,
)
from scriberrd.model import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    (folder / "a/b").mkdir(parents=True)
    return folder


def failure(root: Path, path: bytes, device: int | None = None) -> str:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        os.close(open_source(root, path, device=device))
    code = failure_code(caught.value)
    assert code in FAILURES
    return code


@contextmanager
def no_descriptor_lost() -> Iterator[None]:
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("name", [b"talk.wav", b"a/b/\xff\n.wav", b"a/" + b"n" * 251 + b".wav"])
def test_a_recording_is_known_by_its_bytes(inbox: Path, name: bytes) -> None:
    file = inbox / os.fsdecode(name)
    file.write_bytes(b"sound" * 1_000_000)
    expected = Identity.of(file.stat()), hashlib.sha256(file.read_bytes()).hexdigest()
    with no_descriptor_lost():
        assert fingerprint(inbox, name) == Fingerprint(*expected)
        assert fingerprint(inbox, name, settled=expected[0]) == expected


def test_the_descriptor_is_for_reading_and_not_inherited(inbox: Path) -> None:
    (inbox / "x.wav").write_bytes(b"sound")
    source = open_source(inbox, b"x.wav")
    assert not os.get_inheritable(source)
    assert fcntl.fcntl(source, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    assert os.read(source, 9) == b"sound"
    os.close(source)


def test_the_inbox_may_be_a_link(inbox: Path, tmp_path: Path) -> None:
    (inbox / "x.wav").write_bytes(b"")
    (tmp_path / "link").symlink_to(inbox)
    os.close(open_source(tmp_path / "link", b"x.wav"))


def test_what_is_no_regular_file_is_refused_and_nothing_blocks(inbox: Path) -> None:
    secret = inbox.parent / "secret"
    secret.mkdir()
    (secret / "x.wav").write_bytes(b"secret")
    os.mkfifo(inbox / "fifo.wav")
    (inbox / "folder.wav").mkdir()
    (inbox / "link.wav").symlink_to(secret / "x.wav")
    (inbox / "a/link").symlink_to(secret)
    (inbox / "loop").symlink_to("loop")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s")
        os.rename(f"{short}/s", inbox / "socket.wav")
        with no_descriptor_lost():
            names = [b"fifo.wav", b"folder.wav", b"link.wav", b"a/link/x.wav", b"socket.wav"]
            for name in (*names, b"loop", b"loop/x.wav"):
                assert failure(inbox, name) == "not_regular", name
    assert failure(Path("/dev"), b"null") == "not_regular"


@pytest.mark.parametrize("name", [b"/etc/passwd", b"../x", b"a/../../x", b"", b"a//x"])
def test_a_path_stays_below_the_inbox(inbox: Path, name: bytes) -> None:
    with pytest.raises(ValueError, match="not a relative path"):
        open_source(inbox, name)


def test_what_has_gone(inbox: Path) -> None:
    device = inbox.stat().st_dev
    with no_descriptor_lost():
        assert failure(inbox, b"x.wav") == "source_missing"
        assert failure(inbox, b"a/b/c/x.wav", device) == "source_missing"
        assert failure(inbox / "none", b"x.wav") == "inbox_unavailable"


def test_what_is_not_mounted_is_an_empty_folder_on_another_device(tmp_path: Path) -> None:
    other = tmp_path.stat().st_dev + 1
    (tmp_path / "usb").mkdir()
    with no_descriptor_lost():
        assert failure(tmp_path / "usb", b"x.wav", other) == "inbox_unavailable"
        assert failure(tmp_path / "usb", b"a/x.wav", other) == "inbox_unavailable"
        assert failure(tmp_path, b"usb/x.wav", other) == "source_unavailable"
        # Devices get other numbers; a file that was deleted takes nothing else with it.
        assert failure(tmp_path, b"x.wav", other) == "source_missing"
        assert failure(tmp_path, b"a/x.wav", other) == "source_missing"


def test_what_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "x.wav").write_bytes(b"")
        (root / "x.wav").chmod(0)
        (root / "a").mkdir(mode=0)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            assert failure(root, b"x.wav") == "unreadable"
            assert failure(root, b"a/x.wav") == "unreadable"
        finally:
            os.seteuid(before)


def test_a_version_that_is_not_meant_is_refused(inbox: Path) -> None:
    file = inbox / "x.wav"
    file.write_bytes(b"old")
    settled = Identity.of(file.stat())
    file.write_bytes(b"newer")
    with pytest.raises(SourceChanged), no_descriptor_lost():
        fingerprint(inbox, b"x.wav", settled=settled)
    with file.open("r+b") as huge:
        huge.truncate(1 << 43)  # to read that takes an hour
    with pytest.raises(SourceChanged), no_descriptor_lost():
        fingerprint(inbox, b"x.wav", size=settled.size)


def test_a_change_while_it_is_read_is_seen(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = inbox / "x.wav"
    file.write_bytes(b"sound")
    digest = hashlib.sha256

    def late() -> object:
        with file.open("ab") as growing:
            growing.write(b"!")
        return digest()

    monkeypatch.setattr(hashlib, "sha256", late)
    with pytest.raises(SourceChanged):
        fingerprint(inbox, b"x.wav")


def test_every_error_has_a_code() -> None:
    assert failure_code(OSError(errno.EIO, "")) == "read_failed"
    assert failure_code(OSError(errno.ESTALE, "")) == "read_failed"
    assert failure_code(NotRegular(errno.ELOOP, "")) == "not_regular"
    assert failure_code(InboxUnavailable(errno.ENOTCONN, "")) == "inbox_unavailable"


def test_a_version_is_the_same_under_other_numbers(inbox: Path) -> None:
    """A mount gives another device, permissions another time of change."""
    (inbox / "x.wav").write_bytes(b"sound")
    now = Identity.of((inbox / "x.wav").stat())
    for other in (now._replace(dev=now.dev + 1), now._replace(ctime_ns=1)):
        os.close(open_version(inbox, b"x.wav", other))
        assert fingerprint(inbox, b"x.wav", settled=other).identity == now
    for other in (now._replace(inode=1), now._replace(size=6), now._replace(mtime_ns=1)):
        with pytest.raises(SourceChanged), no_descriptor_lost():
            open_version(inbox, b"x.wav", other)
