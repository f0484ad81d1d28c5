"""What the folders of the real program may look like, and what is not made of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
from program import AUDIO, Program

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
