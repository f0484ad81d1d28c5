"""A real worker process that is asked to tell speakers apart, by a diarizer without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from child import AUDIO, TALK, Child, task

from scriberrd.protocol import (
    Diarize,
    Diarized,
    DiarizerLoaded,
    Failed,
    Finished,
    Heartbeat,
    Hints,
    Ready,
    Reply,
    Stopped,
)
from scriberrd.transcript import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDING = AUDIO / "speech.flac"
HEAVY = {"ctranslate2", "faster_whisper", "onnxruntime", "torch"}


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child()
    yield child
    child.close()


def order(model: str = "ok", **given: Any) -> Diarize:
    hints = Hints(**given.pop("hints", {}))
    values = {"job": 1, "lease": 1, "track": "default", "duration": 7.0, "share": 1} | given
    return Diarize(
        **values,
        diarizer="fake",
        model=model,
        hints=hints,
        device="cpu",
        threads=1,
        auto_download=False,
        model_cache="",
    )


def replies(child: Child, order: Diarize) -> list[Reply]:
    child.send(RECORDING, order)
    return [reply for reply in child.rest() if not isinstance(reply, Heartbeat)]


def test_turns_come_with_labels_in_order_of_speech(child: Child) -> None:
    loaded, ready, last = replies(child, order(duration=7.0))
    assert loaded == DiarizerLoaded(job=1, lease=1, model="ok", revision="1", device="cpu")
    assert ready == Ready(job=1, lease=1)
    assert isinstance(last, Diarized)
    found = last.diarization
    assert found.turns == (
        Turn(start=0.0, end=3.0, speaker="SPEAKER_00"),
        Turn(start=2.5, end=6.0, speaker="SPEAKER_01"),
        Turn(start=5.5, end=7.0, speaker="SPEAKER_00"),
    )
    assert [turn.start for turn in found.exclusive] == [0.0, 3.0, 6.0]
    assert found.embeddings == {"SPEAKER_00": (1.0, 0.0), "SPEAKER_01": (1.0, 1.0)}


def test_a_recording_of_silence_has_no_turns(child: Child) -> None:
    last = replies(child, order("deaf"))[-1]
    assert isinstance(last, Diarized)
    assert (last.diarization.turns, last.diarization.embeddings) == ((), {})


def test_it_does_with_less_when_memory_runs_out(child: Child) -> None:
    last = replies(child, order("oom-big"))[-1]
    assert isinstance(last, Diarized)
    assert last.diarization.fallbacks == ("diarization batch_size 2 -> 1",)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("oom", "out_of_memory"),
        ("raise", "diarization_failed"),
        ("missing", "diarizer_missing"),
        ("absent", "diarization_model_missing"),
        ("refused", "diarization_refused"),
        ("no-device", "diarization_device"),
    ],
)
def test_a_failure_has_its_code_and_the_worker_stays_usable(
    child: Child, script: str, code: str
) -> None:
    last = replies(child, order(script))[-1]
    assert isinstance(last, Failed)
    assert last.code == code
    assert "/secret" not in last.detail
    assert isinstance(replies(child, order())[-1], Diarized)


def test_how_much_is_done_is_told_and_a_stop_is_heeded(child: Child) -> None:
    child.send(TALK, order("slow", duration=60.0))
    beat = next(one for one in child.rest() if isinstance(one, Heartbeat) and one.done)
    assert 0 < (beat.done or 0) < 1
    child.stop(after_block=False)
    assert isinstance(list(child.rest())[-1], Stopped)


def test_a_process_has_the_libraries_of_one_kind_of_task(child: Child) -> None:
    replies(child, order())
    maps = f"/proc/{child.process.pid}/maps"
    with open(maps) as file:
        diarizing = file.read()
    assert not {name for name in HEAVY if f"/{name}" in diarizing}
    other = Child()
    other.send(RECORDING, task())
    assert isinstance(list(other.rest())[-1], Finished)
    with open(f"/proc/{other.process.pid}/maps") as file:
        transcribing = file.read()
    other.close()
    assert "ctranslate2" in transcribing
    assert "/torch/" not in transcribing
