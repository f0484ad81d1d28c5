"""The main job: a recording dropped into a folder becomes a transcript, with the real engine."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, BIN, MODEL, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

EXPECTED: dict[str, Any] = json.loads((AUDIO / "expected.json").read_text())
SPEECH = ("speech.mp3", "speech.opus", "speech.m4a", "speech.flac", "speech.webm", "speech.mp4")


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_every_kind_of_file_becomes_its_true_text(program: Callable[..., Program]) -> None:
    daemon = program(engine="faster-whisper", model=MODEL)
    for name in SPEECH:
        daemon.drop(AUDIO / name, f"{name.partition('.')[2]}/{name}")
    for name in ("sentence.wav", "silence.wav", "noise.wav", "stereo.flac", "tracks.mkv"):
        daemon.drop(AUDIO / name, name)
    for name in SPEECH:
        folder = name.partition(".")[2]
        job = daemon.wait(f"{folder}/{name}", "completed")
        assert job["outputs"] == [
            f"{folder}/speech.{kind}" for kind in ("json", "srt", "txt", "vtt")
        ]
        transcript = daemon.transcript(f"{folder}/speech.json")
        assert words(transcript["text"]) == words(EXPECTED[name]["text"])
        assert transcript["duration"] == pytest.approx(EXPECTED[name]["duration"], abs=0.1)
        for segment, turn in zip(transcript["segments"], EXPECTED[name]["turns"], strict=True):
            assert segment["start"] == pytest.approx(turn["start"], abs=0.4)
            assert segment["end"] == pytest.approx(turn["end"], abs=0.4)
    for name in ("sentence.wav", "stereo.flac", "tracks.mkv"):
        daemon.wait(name, "completed")
        transcript = daemon.transcript(f"{name.partition('.')[0]}.json")
        assert words(transcript["text"]) == words(EXPECTED[name]["text"])
        assert "".join(word["word"] for word in transcript["words"]).strip() == transcript["text"]
    for name in ("silence.wav", "noise.wav"):  # silence is a result
        daemon.wait(name, "completed")
        transcript = daemon.transcript(f"{name.partition('.')[0]}.json")
        assert (transcript["text"], transcript["segments"], transcript["words"]) == ("", [], [])
        assert transcript["warnings"] != []
    assert not [name for name in daemon.files() if "tmp" in name]


def without_figures(transcript: dict[str, Any]) -> dict[str, Any]:
    stats = {key: transcript["stats"][key] for key in ("words", "confidence")}
    return transcript | {"stats": stats}


def test_kill_9_in_the_middle_changes_nothing_in_the_transcript(
    program: Callable[..., Program],
) -> None:
    settings = {"engine": "faster-whisper", "model": MODEL, "block_seconds": 10}
    daemon = program(**settings)
    daemon.drop(TALK, "talk.opus")
    events = subprocess.Popen(
        [BIN / "scriberrctl", "--socket", daemon.socket, "--json", "events", "--after", "0"],
        stdout=subprocess.PIPE,
    )
    assert events.stdout is not None
    with events:
        done: list[float] = []
        while len(done) < 2:
            event = json.loads(events.stdout.readline())
            done += [event["data"]["seconds"]] if event["type"] == "checkpointed" else []
        daemon.stop(9)
        events.terminate()  # it would wait for the daemon
    assert daemon.files() == []
    daemon.start()
    job = daemon.wait("talk.opus", "completed")
    assert job["failures"] == 0
    runs = daemon.ctl("show", job["id"])["executions"]
    assert [run["outcome"] for run in runs] == ["lost", "completed"]
    assert runs[1]["audio_seconds"] <= job["progress"]["duration"] - done[-1] + 0.001

    other = program(**settings)
    other.drop(TALK, "talk.opus")
    other.wait("talk.opus", "completed")
    uninterrupted = other.transcript("talk.json")
    assert without_figures(daemon.transcript("talk.json")) == without_figures(uninterrupted)
    turns = EXPECTED["dialogue.opus"]["turns"]
    said = " ".join(turn["text"] for turn in turns if turn["end"] < uninterrupted["duration"])
    wrong = set(words(said)) ^ set(words(uninterrupted["text"]))
    assert len(wrong) < 10


def test_a_client_submits_follows_and_fetches(program: Callable[..., Program]) -> None:
    daemon = program(engine="faster-whisper", model=MODEL)
    ctl = [BIN / "scriberrctl", "--socket", daemon.socket]
    submit = [*ctl, "submit", "--wait", AUDIO / "sentence.wav"]
    done = subprocess.run(submit, check=True, capture_output=True, text=True, timeout=60)
    assert "completed" in done.stdout
    text = subprocess.run(
        [*ctl, "transcript", "1", "--format", "txt"], check=True, capture_output=True, text=True
    ).stdout
    assert words(text) == words(EXPECTED["sentence.wav"]["text"])
    assert (daemon.inbox / "sentence.wav").read_bytes() == (AUDIO / "sentence.wav").read_bytes()
    again = subprocess.run(submit, check=True, capture_output=True, text=True, timeout=60)
    assert "already known" in again.stdout + again.stderr
    assert len(daemon.jobs()) == 1


def test_a_model_stays_loaded_between_jobs(program: Callable[..., Program]) -> None:
    daemon = program(engine="faster-whisper", model=MODEL)
    daemon.drop(AUDIO / "sentence.wav", "one.wav")
    daemon.wait("one.wav", "completed")
    (worker,) = daemon.workers()
    daemon.drop(AUDIO / "speech.flac", "two.flac")
    daemon.wait("two.flac", "completed")
    assert daemon.workers() == [worker]
    loaded = wait_for(lambda: daemon.ctl("status")["workers"], "workers")
    assert [(one["state"], one["pid"]) for one in loaded] == [("idle", worker.pid)]
    assert daemon.daemon is not None
    maps = Path(f"/proc/{daemon.daemon.pid}/maps").read_text()
    for library in ("ctranslate2", "onnxruntime", "/av/", "numpy", "torch"):
        assert library not in maps  # the daemon itself stays small
        assert library in Path(f"/proc/{worker.pid}/maps").read_text() or library == "torch"


def test_a_worker_without_work_ends_and_comes_back(program: Callable[..., Program]) -> None:
    daemon = program(idle_unload="0.3s")
    for name in ("one.wav", "two.wav"):
        daemon.drop((AUDIO / "sentence.wav").read_bytes() + name.encode(), name)
        daemon.wait(name, "completed")
        wait_for(lambda: not daemon.workers(), "the end of the idle worker")
    assert [one["state"] for one in daemon.ctl("status")["workers"]] == ["stopped"]
