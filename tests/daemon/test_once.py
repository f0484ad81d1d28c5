"""`scriberrd scan --once`: one pass, for cron."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from program import AUDIO, BIN, DEADLINE, TESTS, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"


def once(program: Make, **settings: object) -> Program:
    daemon = program(start=False, **settings)
    daemon.command = ["scan", "--once"]
    return daemon


def test_all_that_lies_there_is_done_and_then_it_ends(program: Make) -> None:
    daemon = once(program)
    for name in ("a.wav", "sub/b.wav", "c.wav"):
        daemon.drop(SENTENCE if name == "a.wav" else AUDIO / "speech.flac", name)
    daemon.launch()
    assert daemon.wait_dead() == 0, daemon.log.read_text()
    assert {"a.json", "sub/b.json", "c.json"} <= set(daemon.files())
    before = daemon.said(": queued\n")
    daemon.launch()  # once more: there is nothing to do
    assert daemon.wait_dead() == 0
    assert daemon.said(": queued\n") == before == 3


def test_what_fails_is_told_after_all_else_is_done(program: Make) -> None:
    daemon = once(program)
    daemon.drop(b"no sound", "bad.wav")
    daemon.drop(SENTENCE, "good.wav")
    daemon.launch()
    assert daemon.wait_dead() == 1, daemon.log.read_text()
    assert "good.json" in daemon.files()
    daemon.launch()  # it has failed before, and is not tried again
    assert daemon.wait_dead() == 0


def test_an_attempt_that_fails_is_followed_by_another(program: Make) -> None:
    daemon = once(program, model="crash-once")
    daemon.drop(AUDIO / "speech.flac", "a.wav")
    daemon.launch()
    assert daemon.wait_dead() == 0, daemon.log.read_text()
    assert "a.json" in daemon.files()


def test_an_inbox_that_is_missing_is_told(program: Make) -> None:
    daemon = once(program)
    shutil.rmtree(daemon.root / "calm")
    daemon.drop(SENTENCE, "a.wav")
    daemon.launch()
    assert daemon.wait_dead() == 1, daemon.log.read_text()
    assert "a.json" in daemon.files()
    assert "inbox calm: could not be scanned" in daemon.log.read_text()


def test_who_is_stopped_has_not_done_all(program: Make) -> None:
    daemon = program()
    daemon.ctl("pause")
    daemon.drop(SENTENCE, "a.wav")
    daemon.wait("a.wav", "queued")
    command = [BIN / "scriberrd", "scan", "--once", "--config", daemon.config]
    refused = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(TESTS / "fake_engine")},
        capture_output=True,
        text=True,
        cwd=daemon.root,
        timeout=DEADLINE,
        check=False,
    )
    assert (refused.returncode, "scriberrctl rescan" in refused.stderr) == (75, True), refused
    assert daemon.stop() == 0
    daemon.command = ["scan", "--once"]
    daemon.start()
    wait_for(lambda: daemon.ctl("status")["inboxes"][0]["state"] != "starting", "a scan")
    assert daemon.stop() == 1
