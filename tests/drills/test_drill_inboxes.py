"""Folders in which more happens than the kernel tells of, and file systems that come and go."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, Program, wait_for
from support import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SABOTEUR = Path(__file__).parent / "saboteur.py"
SENTENCE = AUDIO / "sentence.wav"
SILENT = "its file system does not answer"
MANY = 50_000


def area(daemon: Program, path: str) -> tuple[str, str | None] | None:
    """How a file system of the inbox is watched."""
    (main,) = [one for one in daemon.ctl("status")["inboxes"] if one["name"] == "main"]
    found = [one for one in main["mounts"] if one["path"] == path]
    return (found[0]["state"], found[0]["reason"]) if found else None


@pytest.mark.slow
@pytest.mark.fault(26)
def test_fifty_thousand_files_at_once(program: Make) -> None:
    """50,000 files come at once, more than the kernel has notifications for
    -> all are queued, and the daemon answers meanwhile"""
    daemon = program()
    daemon.ctl("pause")
    for number in range(MANY):
        folder = daemon.inbox / f"{number % 10}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.wav").write_bytes(b"%d" % number)
    wait_for(lambda: daemon.ctl("status")["jobs"]["queued"] == MANY, "all are queued")


@pytest.mark.fault(27)
def test_no_more_watches_while_it_runs(program: Make) -> None:
    """folders come until there are no more inotify watches
    -> it is said and the inbox is polled, nothing is missed"""
    daemon = program(start=False)
    limit = 'echo 2 > /proc/sys/user/max_inotify_watches && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not permitted")
    daemon.start(*command)
    wait_for(lambda: area(daemon, "") == ("watching", None), "it is watched")
    for number in range(3):
        daemon.drop(SENTENCE.read_bytes() + b"%d" % number, f"{number}/deep/x.wav")
    for number in range(3):
        daemon.wait(f"{number}/deep/x.wav", "completed")
    state, reason = wait_for(lambda: area(daemon, ""), "its status")
    assert state == "polling"
    assert reason.startswith("out of inotify watches (fs.inotify.max_user_watches = ")
    assert daemon.said("out of inotify watches") == 1


@pytest.mark.fault(28)
def test_a_share_below_an_inbox_stops(program: Make, mount: Callable[..., None]) -> None:
    """the server of a share that is mounted below a local inbox stops
    -> only the share is out and says so; its recordings are done afterwards"""
    daemon = program(start=False)
    share, stopped = daemon.inbox / "share", daemon.root / "stopped"
    mount(share, "-t", "tmpfs", "tmpfs")
    daemon.start(sys.executable, SABOTEUR, SABOTAGE_HANG=f"{share}:{stopped}")
    daemon.drop(SENTENCE, "share/one.wav")
    daemon.wait("share/one.wav", "completed")
    stopped.touch()
    daemon.drop(SENTENCE.read_bytes() + b"2", "share/two.wav")
    for number in range(3):
        daemon.drop(SENTENCE.read_bytes() + b"own%d" % number, f"{number}.wav")
        daemon.wait(f"{number}.wav", "completed")
    wait_for(lambda: area(daemon, "share") == ("unavailable", SILENT), "the status of the share")
    assert area(daemon, "") == ("watching", None)
    stopped.unlink()
    daemon.wait("share/two.wav", "completed")
    wait_for(lambda: area(daemon, "share") == ("watching", None), "the share is watched again")


@pytest.mark.fault(28, 48)
def test_a_share_below_an_inbox_is_unmounted(program: Make) -> None:
    """a share below an inbox is unmounted while recordings of it wait, and mounted again
    -> it is said once, others are served, its recordings wait for it"""
    daemon = program(start=False)
    source, share = daemon.root / "source", daemon.inbox / "share"
    source.mkdir()
    share.mkdir()
    with bound(source, share):
        daemon.start()
        daemon.ctl("pause")
        daemon.drop(SENTENCE.read_bytes() + b"1", "share/one.wav")
        daemon.wait("share/one.wav", "queued")
    wait_for(lambda: area(daemon, "share") is None, "the share is gone")
    daemon.drop(SENTENCE, "own.wav")
    daemon.wait("own.wav", "queued")
    daemon.ctl("resume")
    daemon.wait("own.wav", "completed")
    with bound(source, share):
        daemon.wait("share/one.wav", "completed")
        daemon.drop(SENTENCE.read_bytes() + b"2", "share/two.wav")
        daemon.wait("share/two.wav", "completed")
        assert daemon.said("inbox main: share: no longer mounted") == 1
        assert daemon.stop() == 0
    os.rename(source, share.with_name("moved"))  # where the promises are checked
    share.rmdir()
    os.rename(share.with_name("moved"), share)


@pytest.mark.fault(33)
def test_what_is_no_file_is_left_alone(program: Make) -> None:
    """a pipe, a socket, a device, a link and a folder have names of recordings
    -> nothing blocks, and what takes their place is transcribed"""
    daemon = program(start=False)
    os.mkfifo(daemon.inbox / "fifo.wav")
    (daemon.inbox / "folder.wav").mkdir()
    (daemon.inbox / "link.wav").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(daemon.inbox / "socket.wav"))
    if os.geteuid() == 0:
        os.mknod(daemon.inbox / "device.wav", 0o20666, os.makedev(1, 5))
    daemon.start()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    assert len(daemon.jobs()) == 1
    (daemon.inbox / "fifo.wav").unlink()
    daemon.drop(SENTENCE.read_bytes() + b"2", "fifo.wav")
    daemon.wait("fifo.wav", "completed")
