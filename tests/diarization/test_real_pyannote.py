"""The real pyannote.audio in the real worker, on dialogues of synthetic voices."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from child import AUDIO, Child, beginning
from conftest import DIALOGUE, MODEL, SAMPLES, diarized, last, order
from hub import REVISION, serving
from pyannote.core import Annotation, Segment
from pyannote.metrics.diarization import DiarizationErrorRate

from scriberrd.protocol import Failed, Heartbeat, Stopped
from scriberrd.transcript import Turn
from scriberrd.worker import turns as tidying
from scriberrd.worker.describe import is_out_of_memory
from scriberrd.worker.diarizers import Wanted, pyannote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.real

TRUTH = json.loads((SAMPLES / "expected.json").read_text())
REFUSE = """
import socket
def refuse(host, *_, **__):
    with open({told!r}, "a") as file:
        print(host, file=file)
    raise socket.gaierror("refused")
socket.getaddrinfo = refuse
"""


def annotation(turns: Iterable[Turn]) -> Annotation:
    found = Annotation(uri="it")
    for number, turn in enumerate(turns):
        found[Segment(turn.start, turn.end), number] = turn.speaker
    return found


def read(turns: Iterable[dict[str, Any]]) -> list[Turn]:
    return [Turn(start=t["start"], end=t["end"], speaker=t["speaker"]) for t in turns]


def bare(name: str) -> dict[str, list[Turn]]:
    """Regular and exclusive turns."""
    command = [sys.executable, Path(__file__).with_name("bare.py"), MODEL, SAMPLES / name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {key: read(turns) for key, turns in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_the_turns_are_those_of_the_bare_pipeline(worker: Child, name: str) -> None:
    found, theirs = diarized(worker, SAMPLES / name, order()), bare(name)
    duration, names = TRUTH[name]["duration"], tidying.labels(theirs["diarization"])
    assert found.turns == tidying.tidy(theirs["diarization"], names, duration)
    assert found.exclusive == tidying.tidy(theirs["exclusive_diarization"], names, duration)
    truth = annotation(read(TRUTH[name]["turns"]))
    scored = {"uem": annotation([Turn(start=0, end=duration, speaker="")]).get_timeline()}
    ours = DiarizationErrorRate()(truth, annotation(found.turns), **scored)
    assert ours == pytest.approx(
        DiarizationErrorRate()(truth, annotation(theirs["diarization"]), **scored), abs=1e-4
    )  # whole milliseconds
    assert ours < 0.1
    assert sorted(found.embeddings) == sorted({turn.speaker for turn in found.turns})
    assert len(found.embeddings) == TRUTH[name]["speakers"]


def test_overlaps_are_in_the_regular_turns_alone(worker: Child) -> None:
    found = diarized(worker, SAMPLES / "overlap.wav", order())

    def doubled(turns: Iterable[Turn]) -> float:
        overlap = annotation(turns).get_overlap()
        return float(overlap.duration())

    assert doubled(found.turns) > 1
    assert doubled(found.exclusive) < 0.1


def test_a_real_conversation_goes_through(worker: Child) -> None:
    """The toy model knows no human voices, so nothing is said of who they are."""
    spec = find_spec("pyannote.audio")
    assert spec is not None
    (folder,) = spec.submodule_search_locations or ()
    found = diarized(worker, Path(folder, "sample", "sample.wav"), order())
    assert found.turns
    assert list(found.turns) == sorted(found.turns, key=lambda turn: turn.start)
    assert all(0 <= turn.start < turn.end <= 30 for turn in (*found.turns, *found.exclusive))
    assert {turn.speaker for turn in found.exclusive} <= {turn.speaker for turn in found.turns}


def test_hints_are_heeded(worker: Child) -> None:
    hints = {"speakers": 2}
    found = diarized(worker, SAMPLES / "three.wav", order(hints=hints))
    assert {turn.speaker for turn in found.turns} == {"SPEAKER_00", "SPEAKER_01"}
    assert not found.warnings
    found = diarized(worker, SAMPLES / "two.wav", order(hints={"max_speakers": 1}))
    assert {turn.speaker for turn in found.turns} == {"SPEAKER_00"}


def test_more_speakers_than_a_short_recording_can_have(worker: Child, tmp_path: Path) -> None:
    short = beginning(str(SAMPLES / "two.wav"), 6, tmp_path)
    found = diarized(worker, short, order(hints={"speakers": 8}))
    assert found.turns
    (warning,) = found.warnings
    assert warning.startswith("8 speakers were asked for, ")


@pytest.mark.parametrize("name", ["silence.wav", "noise.wav"])
def test_where_nobody_speaks(worker: Child, name: str) -> None:
    found = diarized(worker, AUDIO / name, order(hints={"min_speakers": 2}))
    assert (found.turns, found.exclusive, found.embeddings) == ((), (), {})


def test_a_moment_of_speech_has_no_voice(worker: Child) -> None:
    found = diarized(worker, SAMPLES / "two.wav", order(duration=1.74))
    assert {turn.speaker for turn in found.turns} == {"SPEAKER_00"}
    assert all(turn.end <= 1.74 for turn in found.turns)
    assert found.embeddings == {}


def test_it_tells_how_far_it_is_and_can_be_stopped(worker: Child) -> None:
    worker.send(DIALOGUE, order())
    seen: list[float] = []
    while not seen or seen[-1] < 0.35:  # among the embeddings
        reply = worker.reply()
        assert isinstance(reply, Heartbeat) or not seen, reply
        if isinstance(reply, Heartbeat) and reply.done is not None:
            seen.append(reply.done)
    worker.stop(after_block=False)
    assert isinstance(list(worker.rest())[-1], Stopped)
    assert seen == sorted(seen)
    assert diarized(worker, SAMPLES / "two.wav", order()).turns


def hub_cache(folder: Path) -> Path:
    """A cache of the hub that has our pipeline as someone/toy."""
    top = folder / "models--someone--toy"
    shutil.copytree(MODEL, top / "snapshots" / REVISION)
    (top / "refs").mkdir()
    (top / "refs" / "main").write_text(REVISION)
    return folder


@pytest.mark.parametrize("kind", ["folder", "cached"])
def test_nobody_is_asked_for_what_is_there(
    spawn: Callable[..., Child], tmp_path: Path, kind: str
) -> None:
    told = tmp_path / "told"
    (tmp_path / "sitecustomize.py").write_text(REFUSE.format(told=str(told)))
    child = spawn(PYTHONPATH=str(tmp_path))
    if kind == "folder":
        found = diarized(child, SAMPLES / "two.wav", order(auto_download=True))
        assert found.model == "model"
        assert len(found.revision) == 12  # of its files: there may be another folder of that name
    else:
        cache = str(hub_cache(tmp_path / "cache"))
        wanted = order("someone/toy", model_cache=cache, auto_download=True)
        found = diarized(child, SAMPLES / "two.wav", wanted)
        assert (found.model, found.revision) == ("someone/toy", REVISION)
    assert len(found.embeddings) == 2
    assert not told.exists(), told.read_text()
    # The refusal is there: what is missing is asked for.
    reply = last(child, SAMPLES / "two.wav", order("someone/else", auto_download=True))
    assert isinstance(reply, Failed)
    assert reply.code == "diarization_model_missing"
    assert told.exists()


def test_a_pipeline_is_downloaded_once(spawn: Callable[..., Child], tmp_path: Path) -> None:
    files = {
        str(file.relative_to(MODEL)): file.read_bytes()
        for file in MODEL.rglob("*")
        if file.is_file()
    }
    with serving() as hub:
        hub.add_model("someone/toy", files)
        environment = {"HF_ENDPOINT": hub.url, "NO_PROXY": "*", "HF_TOKEN": ""}
        wanted = order("someone/toy", model_cache=str(tmp_path), auto_download=True)
        for _ in range(2):
            found = diarized(spawn(**environment), SAMPLES / "two.wav", wanted)
            assert (found.model, found.revision) == ("someone/toy", REVISION)
        assert hub.sent("segmentation/pytorch_model.bin") == 1


def test_a_damaged_pipeline_is_told(worker: Child, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(MODEL, broken)
    (broken / "segmentation" / "pytorch_model.bin").write_bytes(b"nothing")
    reply = last(worker, SAMPLES / "two.wav", order(str(broken)))
    assert isinstance(reply, Failed)
    assert reply.code == "diarization_model_missing"
    assert str(tmp_path) not in reply.detail


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(worker: Child) -> None:
    reply = last(worker, SAMPLES / "two.wav", order(device="cuda:3"))
    assert isinstance(reply, Failed)
    assert reply.code == "diarization_device"


def test_it_does_with_less_memory() -> None:
    threads = torch.get_num_threads()
    wanted = Wanted("pyannote", str(MODEL), "cpu", 1, "", auto_download=False)
    diarizer = pyannote.load(wanted, lambda: None)
    assert diarizer.smaller() == "diarization batch_size 8 -> 1"
    assert diarizer.smaller() is None
    torch.set_num_threads(threads)
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)
