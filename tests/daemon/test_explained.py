"""What the client tells of inboxes and of single files, by the real daemon."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from program import AUDIO, DEADLINE, Program, wait_for
from support import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
MORE = """
[[inbox]]
name = "slow"
path = "slow"
output = "out"
settle = "1h"
[[inbox]]
name = "side"
path = "side"
output = "beside"
settle = "0.2s"
"""
LINKS = """
ignore = ["draft*"]
existing = "ignore"
symlinks = "files"
"""


def ctl(daemon: Program, *arguments: object) -> str:
    """What the client says to people."""
    command = [*daemon.client, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done
    return done.stdout + done.stderr


def test_what_becomes_of_files_and_what_lies_in_inboxes(program: Make) -> None:
    daemon = program(start=False)
    for name in ("slow", "side"):
        (daemon.root / name).mkdir()
    daemon.config.write_text(daemon.config.read_text() + MORE)
    daemon.start(*POWERLESS)
    slow, side = daemon.root / "slow", daemon.root / "side"
    (slow / "talk.wav").write_bytes(SENTENCE.read_bytes())
    closed = daemon.inbox / "closed"
    closed.mkdir()
    (closed / "talk.wav").write_bytes(SENTENCE.read_bytes())
    closed.chmod(0)
    (side / "talk.wav").write_bytes(SENTENCE.read_bytes())
    wait_for((side / "talk.json").exists, "a transcript beside its recording")
    daemon.wait("talk.wav", "completed")
    try:
        wait_for(lambda: "settling: " in ctl(daemon, "explain", slow / "talk.wav"), "settling")
        assert ctl(daemon, "explain", closed / "talk.wav").startswith("unreadable: ")
        written = ctl(daemon, "explain", side / "talk.json")
        assert written.startswith("ours: scriberrd has written it: a transcript\ninbox  side\n")
        hidden = ctl(daemon, "explain", slow / ".talk.wav")
        assert hidden.startswith("missing: ")
        outside = ctl(daemon, "explain", daemon.root / "talk.wav")
        file = f"file   {daemon.root}/talk.wav\ninboxes  main, calm, slow, side\n"
        assert outside == f"outside: it is not below any inbox\n{file}"
        own = ctl(daemon, "explain", slow)
        assert own == "inbox: it is the folder of an inbox: ask about a file in it\ninbox  slow\n"
        wait_for(lambda: "1 file still changing" in ctl(daemon, "status"), "it is counted")
        shown = ctl(daemon, "inbox")
        assert "\n  files    1 still changing, 0 being read\n" in shown
        assert "\n  closed   closed: Permission denied\n" in shown
        (slow / "late.wav").write_bytes(SENTENCE.read_bytes())
        assert ctl(daemon, "rescan", "slow") == "inbox slow: is scanned\n"
        wait_for(lambda: "2 files still changing" in ctl(daemon, "status"), "it was scanned")
    finally:
        closed.chmod(0o755)


def test_why_a_queued_file_waits(program: Make) -> None:
    daemon = program()
    daemon.ctl("pause")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "queued")
    shown = ctl(daemon, "explain", daemon.inbox / "talk.wav")
    assert shown.startswith("queued: it is queued as job 1\ninbox  main\njob    1\n")
    assert "job 1 is waiting: paused: everything" in shown


def test_what_is_left_out_and_why(program: Make) -> None:
    daemon = program(start=False)
    (daemon.inbox / "folder").mkdir()
    (daemon.inbox / "old.wav").write_bytes(SENTENCE.read_bytes())
    (daemon.root / "key.wav").write_bytes(b"secret")
    leads = {"out": daemon.root / "key.wav", "none": daemon.root / "none.wav"}
    leads |= {"lost": "gone.wav", "dir": "folder"}
    for name, to in leads.items():
        (daemon.inbox / f"{name}.wav").symlink_to(to)
    config = daemon.config.read_text()
    place = config.index("path = ", config.index("[[inbox]]"))
    daemon.config.write_text(config[:place] + LINKS.lstrip() + config[place:])
    daemon.start()
    (daemon.inbox / "draft.wav").write_bytes(SENTENCE.read_bytes())
    wait_for(lambda: "by pattern" in ctl(daemon, "inbox"), "it was scanned")
    ignored = "  ignored  3 links, 1 no regular files, 1 by pattern, 1 there at first\n"
    assert sorted(ignored.split()) == sorted(
        next(line for line in ctl(daemon, "inbox").splitlines() if "  ignored " in line).split()
    )
    told = [ctl(daemon, "explain", daemon.inbox / f"{name}.wav") for name in leads]
    by = 'rule   symlinks = "files" (inbox main)'
    ways = ["outside of the inbox", "outside of the inbox", "nowhere", "to a folder"]
    assert told == [
        f"ignored: it is a symbolic link that leads {way}\ninbox  main\n{by}\n" for way in ways
    ]
    draft = daemon.inbox / "draft.wav"
    assert ctl(daemon, "explain", draft).startswith("ignored: a pattern leaves it out\n")
    daemon.ctl("submit", "--wait", draft)
    assert ctl(daemon, "explain", draft).startswith("completed: job 1 has transcribed it\n")


def test_a_file_in_what_is_mounted_twice(program: Make) -> None:
    daemon = program(start=False)
    shared = daemon.root / "shared"
    shared.mkdir()
    (shared / "twice.wav").write_bytes(SENTENCE.read_bytes())
    for name in ("b1", "b2"):
        (daemon.inbox / name).mkdir()
    with bound(shared, daemon.inbox / "b1"), bound(shared, daemon.inbox / "b2"):
        daemon.start()
        daemon.wait("b1/twice.wav", "completed")
        said = ctl(daemon, "explain", daemon.inbox / "b2/twice.wav")
        text = "what is mounted there is watched elsewhere: it is found as b1/twice.wav"
        assert said == f"duplicate: {text}\ninbox  main\n"
        assert "): duplicate: the same as b1: watched there\n" in ctl(daemon, "inbox")
        daemon.stop()


def test_a_name_that_is_no_text_is_explained(program: Make) -> None:
    daemon = program()
    for name in (b"\xff.wav", b"%FF.wav"):
        path = daemon.inbox / os.fsdecode(name)
        daemon.drop(SENTENCE.read_bytes() + name, path.name)
    for shown in ("\\xff.wav", "%FF.wav"):
        daemon.wait(shown, "completed")
    for name in (b"\xff.wav", b"%FF.wav"):
        shown = ctl(daemon, "explain", daemon.inbox / os.fsdecode(name))
        job = daemon.job(os.fsencode(name).decode("utf-8", "backslashreplace"))
        assert job is not None
        assert shown.startswith(f"completed: job {job['id']} has transcribed it")
    assert ctl(daemon, "explain", os.fsdecode(b"/\xff")).startswith("outside: ")
