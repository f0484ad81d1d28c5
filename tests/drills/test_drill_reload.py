"""The configuration is changed for the worse under a daemon that is at work."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, Program, wait_for
from promises import checkpointed

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]
    Seen = Callable[[object], None]

BEFORE = "keeping the old configuration: "


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        ("[daemon]", "[daemon", ""),
        ("[retry]", "[retries]", "retries: "),
        ('settle = "0.2s"', 'settle = "soon"', "inbox[1].settle: 'soon' is not a duration"),
        ('output = "out"', 'output = "inbox"', "inbox[1].output: '"),
        ('path = "inbox"', 'path = "file"', "inbox[1].path: '"),
    ],
)
def test_a_bad_configuration(program: Make, seen: Seen, good: str, bad: str, problem: str) -> None:
    """a reload with a bad configuration, in mid-job
    -> the old one stays, the error names file, key and reason; the run is not disturbed"""
    daemon = program(model="slow", block_seconds=5)
    daemon.drop(AUDIO / "speech.opus", "talk.opus")
    checkpointed(daemon, "talk.opus")
    workers = daemon.workers()
    (daemon.root / "file").touch()
    text = daemon.config.read_text()
    assert good in text
    daemon.config.write_text(text.replace(good, bad, 1))
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.said(BEFORE), "the error")
    line = daemon.log.read_text().partition(BEFORE)[2].partition("\n")[0]
    assert line.startswith(f"{daemon.config}:")
    assert problem in line
    job = daemon.wait("talk.opus", "completed")
    assert len(daemon.ctl("show", job["id"])["executions"]) == 1
    assert daemon.workers() == workers
    seen(line.removeprefix(f"{daemon.root}/")[:60])
