"""Links to recordings, where they are wanted: none leads out of the folders that are named."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from support import mounted
from taken import taking

from scriberrd.errors import NotRegular, SourceChanged, SourceUnavailable
from scriberrd.files.sources import fingerprint, open_source, open_version
from scriberrd.inbox.scan import Found
from scriberrd.model import Identity

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    for name in ("inbox/sub", "nas/deep", "secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "nas/deep/talk.wav").write_bytes(b"talk")
    (tmp_path / "secret/key.wav").write_bytes(b"secret")
    return tmp_path / "inbox"


def content(root: Path, path: bytes, *links: Path) -> bytes:
    with os.fdopen(open_source(root, path, links=links), "rb") as file:
        return file.read()


def test_a_link_into_a_named_folder_is_opened(inbox: Path) -> None:
    nas = inbox.parent / "nas"
    (inbox / "sub/a.wav").symlink_to(nas / "deep/talk.wav")
    (inbox / "b.wav").symlink_to("../nas/deep/talk.wav")
    (inbox / "c.wav").symlink_to("b.wav")  # one link after the other
    (inbox.parent / "way").symlink_to(nas)
    (inbox / "d.wav").symlink_to(inbox.parent / "way/deep/talk.wav")
    for name in (b"sub/a.wav", b"b.wav", b"c.wav", b"d.wav"):
        assert content(inbox, name, inbox, nas) == b"talk"
        assert content(inbox, name, inbox.parent / "way") == b"talk"
        with pytest.raises(NotRegular):
            content(inbox, name)
        with pytest.raises(NotRegular):
            content(inbox, name, inbox)
    identity = Identity.of((nas / "deep/talk.wav").stat())
    assert fingerprint(inbox, b"b.wav", settled=identity, links=[nas]).identity == identity
    os.close(open_version(inbox, b"b.wav", identity, links=[nas]))
    (nas / "deep/talk.wav").write_bytes(b"another talk")
    with pytest.raises(SourceChanged):
        open_version(inbox, b"b.wav", identity, links=[nas])


def test_a_link_to_a_file_of_the_inbox_itself(inbox: Path) -> None:
    (inbox / "sub/talk.wav").write_bytes(b"own")
    (inbox / "a.wav").symlink_to("sub/talk.wav")
    assert content(inbox, b"a.wav", inbox) == b"own"


@pytest.mark.parametrize(
    "target",
    [
        *("../secret/key.wav", "/etc/passwd", "a.wav", "sub", "/proc/self/mem", "/dev/null"),
        *(
            "../nas-2/x.wav",
            "../nas",
            "../nas/fifo.wav",
            "../nas/way/key.wav",
            "../nas/../secret/key.wav",
        ),
    ],
)
def test_other_links_are_refused_and_nothing_blocks(inbox: Path, target: str) -> None:
    nas = inbox.parent / "nas"
    (inbox.parent / "nas-2").mkdir()
    (inbox.parent / "nas-2/x.wav").touch()
    os.mkfifo(nas / "fifo.wav")
    (nas / "way").symlink_to("../secret")
    (inbox / "a.wav").symlink_to(target)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(NotRegular):
        open_source(inbox, b"a.wav", links=[inbox, nas])
    assert os.listdir("/proc/self/fd") == before


def test_folders_that_are_links_are_not_entered(inbox: Path) -> None:
    (inbox / "way").symlink_to("../nas/deep")
    with pytest.raises(NotRegular):
        open_source(inbox, b"way/talk.wav", links=[inbox.parent / "nas"])


def test_what_a_link_leads_to_may_be_missing_or_not_mounted(inbox: Path) -> None:
    nas = inbox.parent / "nas"
    (inbox / "gone.wav").symlink_to("../nas/gone.wav")
    with pytest.raises(FileNotFoundError):
        open_source(inbox, b"gone.wav", links=[nas])
    with mounted(inbox.parent / "disk"):
        (inbox.parent / "disk/talk.wav").touch()
        (inbox / "b.wav").symlink_to("../disk/talk.wav")
        device = os.stat(inbox / "b.wav").st_dev
    with pytest.raises(SourceUnavailable):
        open_source(inbox, b"b.wav", device=device, links=[inbox.parent / "disk"])
    (inbox.parent / "disk").rmdir()
    with pytest.raises(SourceUnavailable):
        open_source(inbox, b"b.wav", device=device, links=[inbox.parent / "disk"])


def test_a_link_that_is_turned_in_between_leads_nowhere_else(inbox: Path) -> None:
    """Again and again, while another swaps links and folders on the way."""
    nas, secret = inbox.parent / "nas", inbox.parent / "secret"
    (secret / "deep").mkdir()
    (secret / "deep/talk.wav").write_bytes(b"secret")
    (secret / "talk.wav").write_bytes(b"secret")
    (inbox / "a.wav").symlink_to(nas / "deep/talk.wav")
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for target in (secret / "talk.wav", nas / "deep/talk.wav", nas / "way/talk.wav"):
                (inbox / "new").symlink_to(target)
                (inbox / "new").rename(inbox / "a.wav")
            (nas / "way").symlink_to(secret)
            (nas / "way").unlink()
            (nas / "deep").rename(nas / "away")
            (nas / "deep").symlink_to(secret / "deep")
            (nas / "deep").unlink()
            (nas / "away").rename(nas / "deep")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for number in range(1_000_000):
            if number > 2000 and {b"talk", b"NotRegular"} <= seen:
                break
            try:
                seen.add(content(inbox, b"a.wav", nas))
            except OSError as error:
                seen.add(type(error).__name__.encode())
    finally:
        ended.set()
        thread.join()
    assert b"secret" not in seen


async def test_a_linked_recording_is_taken_in(inbox: Path) -> None:
    target = inbox.parent / "nas/deep/talk.wav"
    with taking(
        inbox.parent / "taken", symlinks="files", link_targets=(inbox.parent / "nas",)
    ) as taken:
        (taken.folder / "a.wav").symlink_to(target)
        identity = Identity.of(target.stat())
        assert await taken.arrivals.take(taken.inbox, [Found(b"a.wav", identity)]) == [None]
        (job,) = await taken.jobs()
        assert (job.path, job.identity) == (b"a.wav", identity)
