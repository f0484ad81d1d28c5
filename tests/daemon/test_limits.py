"""Recordings that an inbox does not want: too large, too short, too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]


@pytest.mark.parametrize(
    ("limit", "bad", "good", "code", "detail"),
    [
        ("max_size = 100_000", TALK, AUDIO / "sentence.wav", "too_large", "max_size is 100000"),
        ('max_duration = "30s"', TALK, AUDIO / "sentence.wav", "too_long", "max_duration is 30 s"),
        ('min_duration = "30s"', AUDIO / "sentence.wav", TALK, "too_short", "min_duration is 30 s"),
    ],
)
def test_what_is_outside_of_the_limits_fails_before_the_model_is_loaded(
    program: Make, limit: str, bad: Path, good: Path, code: str, detail: str
) -> None:
    daemon = program(start=False)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('output = "out"', f'output = "out"\n{limit}', 1))
    daemon.start()
    daemon.drop(bad, f"bad{bad.suffix}")
    job = daemon.wait(f"bad{bad.suffix}", "failed")
    assert job["error"]["code"] == code
    assert detail in job["error"]["detail"]
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert run["device"] is None
    daemon.drop(good, f"good{good.suffix}")
    daemon.wait(f"good{good.suffix}", "completed")
    daemon.config.write_text(text)
    daemon.stop()
    daemon.start()
    daemon.ctl("retry", job["id"])
    wait_for(lambda: (daemon.job(f"bad{bad.suffix}") or {})["state"] == "completed", "it is done")


def test_they_hold_for_a_recording_whose_words_are_known(program: Make) -> None:
    daemon = program(start=False)
    text = daemon.config.read_text()
    limited = 'output = "out"\nmax_duration = "1s"\nafter = "delete"'
    daemon.config.write_text(text.replace('output = "out"', limited, 1))
    calm = daemon.root / "calm"
    daemon.start()
    (calm / "talk.wav").write_bytes((AUDIO / "sentence.wav").read_bytes())
    daemon.wait("talk.wav", "completed")
    daemon.drop(AUDIO / "sentence.wav", "same.wav")
    job = daemon.wait("same.wav", "completed", "failed")
    assert job["error"]["code"] == "too_long"
    daemon.ctl("retry", job["id"])
    wait_for(lambda: len(daemon.ctl("show", job["id"])["executions"]) == 2, "once more")
    assert daemon.wait("same.wav", "completed", "failed")["error"]["code"] == "too_long"
    assert (daemon.inbox / "same.wav").exists()
