"""What the client tells of inboxes and of single files, by the real daemon."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from program import AUDIO, DEADLINE, Program, wait_for

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
        assert outside == "outside: it is not below any inbox\n"
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
