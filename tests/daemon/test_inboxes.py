"""What the folders of the real program may look like, and what is not made of it."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
from program import AUDIO, BIN, DEADLINE, TESTS, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
SIZE = 1 << 28  # bytes


def test_a_recording_is_not_read_again_because_its_permissions_change(program: Make) -> None:
    daemon = program()
    daemon.ctl("pause")
    big = daemon.inbox / "big.mp3"
    with big.open("wb") as file:
        file.truncate(SIZE)
    os.utime(big, (0, 0))  # the oldest comes first
    daemon.wait("big.mp3", "queued")
    process = psutil.Process(daemon.daemon and daemon.daemon.pid)
    read = process.io_counters().read_chars
    big.chmod(0o640)
    big.with_name("other name").hardlink_to(big)
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "queued")
    assert process.io_counters().read_chars < read + SIZE


def test_a_queued_recording_that_becomes_a_huge_one_is_not_read_for_its_job(program: Make) -> None:
    daemon = program()
    daemon.ctl("pause")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "queued")
    with (daemon.inbox / "talk.wav").open("r+b") as huge:
        huge.truncate(1 << 43)  # to read that takes an hour
    daemon.ctl("resume")

    def told() -> bool:
        job = daemon.job("talk.wav")
        return job is not None and (job["error"] or {}).get("code") == "source_changed"

    wait_for(told, "its worker is free again")


# Root enters everything, unless it has no capabilities.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
DENIED = "permission denied: give the daemon's user access"


def test_what_may_not_be_entered_is_a_warning_and_the_others_work(program: Make) -> None:
    daemon = program(start=False)
    home = daemon.root / "home"
    for name in ("in", "out", "model"):
        (home / name).mkdir(parents=True)
    (daemon.root / "circle").symlink_to("circle")
    more = f"""
[profile.other]
model = "{home}/model"
[[inbox]]
name = "private"
path = "home/in"
output = "home/out"
settle = "0.2s"
[[inbox]]
name = "odd"
path = "circle"
output = "{"n" * 300}"
"""
    before = daemon.config.read_text()
    daemon.config.write_text(before + more)
    home.chmod(0)
    try:
        checked = subprocess.run(
            [*POWERLESS, BIN / "scriberrd", "check", "--config", daemon.config],
            env=os.environ | {"PYTHONPATH": str(TESTS / "fake_engine")},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert checked.returncode == 0, checked.stderr
        warnings = [
            f"profile.other.model: {home}/model: {DENIED}",
            f"inbox[3].path: {home}/in: {DENIED}",
            f"inbox[3].output: {home}/out: {DENIED}",
            f"inbox[4].path: {daemon.root}/circle: Too many levels of symbolic links",
            f"inbox[4].output: {daemon.root}/{'n' * 300}: File name too long",
        ]
        assert [
            line.partition(": warning: ")[2] for line in checked.stderr.splitlines()
        ] == warnings
        daemon.config.write_text(before)
        daemon.start(*POWERLESS)
        daemon.config.write_text(before + more)  # and all of it once more, in a reload
        assert daemon.daemon is not None
        daemon.daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: daemon.said("reloaded the configuration"), "the reload")
        wait_for(lambda: _inboxes(daemon).get("private") == DENIED_BY_KERNEL, "its status")
        assert daemon.stop() == 0
        daemon.start(*POWERLESS)
        assert [daemon.said(warning) for warning in warnings] == [2] * len(warnings)
        daemon.drop(SENTENCE, "one.wav")
        daemon.wait("one.wav", "completed")
    finally:
        home.chmod(0o700)
    wait_for(lambda: _inboxes(daemon)["private"] is None, "it is watched")


def test_a_closed_folder_is_a_warning_until_it_opens(program: Make) -> None:
    daemon = program(start=False)
    closed = daemon.inbox / "closed"
    daemon.drop(SENTENCE, "closed/one.wav")
    closed.chmod(0)
    try:
        daemon.start(*POWERLESS)
        daemon.drop(SENTENCE.read_bytes() + b"2", "two.wav")
        daemon.wait("two.wav", "completed")
        assert _inboxes(daemon)["main"] is None
    finally:
        closed.chmod(0o755)
    daemon.wait("closed/one.wav", "completed")
    assert daemon.said("'closed' can't be read: Permission denied") == 1


def test_what_lies_in_an_inbox_that_is_closed_at_first_is_ignored_when_it_opens(
    program: Make,
) -> None:
    daemon = program(start=False)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("[[inbox]]", '[[inbox]]\nexisting = "ignore"', 1))
    daemon.drop(SENTENCE, "old.wav")
    del daemon.dropped[b"old.wav"]  # it is not asked for
    daemon.inbox.chmod(0)
    try:
        daemon.start(*POWERLESS)
        wait_for(lambda: _inboxes(daemon)["main"] == DENIED_BY_KERNEL, "it is told")
        assert not (daemon.root / "state/watched/main").exists()
        assert daemon.said("watched for the first time") == 0
    finally:
        daemon.inbox.chmod(0o755)
    wait_for(lambda: daemon.said("watched for the first time, 1 files ignored"), "it begins")
    daemon.drop(SENTENCE.read_bytes() + b"2", "new.wav")
    daemon.wait("new.wav", "completed")
    assert [job["path"] for job in daemon.jobs()] == ["new.wav"]
    assert daemon.said("inbox main: unavailable: Permission denied") == 1


def test_an_inbox_that_can_not_take_uploads_is_a_warning_and_an_answer(program: Make) -> None:
    daemon = program(start=False)
    calm = daemon.root / "calm"
    (calm / "one.wav").write_bytes(SENTENCE.read_bytes())
    calm.chmod(0o555)
    try:
        daemon.start(*POWERLESS)
        warning = f"inbox[2].path: {calm}: can't be written: `scriberrctl submit` can't copy"
        assert (daemon.said(warning), daemon.said("can't be written")) == (1, 1)
        daemon.wait("one.wav", "completed")
        done = subprocess.run(
            [*daemon.client, "submit", "--inbox", "calm", SENTENCE],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert done.returncode == 1
        assert "inbox calm: scriberrd may not write into its folder (Permission" in done.stderr
        assert str(calm) not in done.stderr
    finally:
        calm.chmod(0o755)


DENIED_BY_KERNEL = "Permission denied"


def _inboxes(daemon: Program) -> dict[str, str | None]:
    """What is wrong with each inbox."""
    return {one["name"]: one["reason"] for one in daemon.ctl("status")["inboxes"]}
