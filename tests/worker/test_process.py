"""The whole worker: a real process, real descriptors, real recordings."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from child import AUDIO, Child, after, task

from scriberrd.protocol import (
    Beat,
    BlockDone,
    Failed,
    Finished,
    Loaded,
    Probed,
    Resume,
    Stop,
    Stopped,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scriberrd.transcript import Block

    Spawn = Callable[..., Child]

EVERY = sorted(p.name for p in AUDIO.iterdir() if p.suffix not in (".json", ".md"))
SPOKEN = [name for name in EVERY if name not in ("silence.wav", "noise.wav", "dialogue.opus")]


def text_of(blocks: Iterable[Block]) -> str:
    return " ".join(segment.text for block in blocks for segment in block.segments)


def likeness(got: str, truth: str) -> float:
    """The share of words that agree, 0 to 1."""
    words = [[w.strip(".,?!'").lower() for w in text.split()] for text in (got, truth)]
    return SequenceMatcher(None, *words, autojunk=False).ratio()


def check_shape(blocks: list[Block], finished: Finished) -> None:
    """What holds for every result: numbered blocks without gaps, times in order within them."""
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert [block.start for block in blocks] == [0.0, *(block.end for block in blocks)][:-1]
    assert blocks[-1].end == finished.duration
    for block in blocks:
        for part in (*block.segments, *block.words):
            assert block.start <= part.start <= part.end <= block.end
            assert part.start == round(part.start, 3)
        starts = [word.start for word in block.words]
        assert starts == sorted(starts)
        words = "".join(word.word for word in block.words).split()
        assert words == " ".join(segment.text for segment in block.segments).split()
        assert all(word.word.strip() for word in block.words)


@pytest.mark.parametrize("name", SPOKEN)
def test_every_container(worker: Child, expected: dict[str, Any], name: str) -> None:
    truth = expected[name]
    turns = [turn for turn in truth["turns"] if turn.get("track", 0) == 0]
    blocks, finished = worker.blocks(name)
    check_shape(blocks, finished)
    assert text_of(blocks) == truth["text"]
    assert blocks[0].language == "en"
    segments = [segment for block in blocks for segment in block.segments]
    for segment, turn in zip(segments, turns, strict=True):
        assert segment.start == pytest.approx(turn["start"], abs=0.5)
        assert segment.end == pytest.approx(turn["end"], abs=0.4)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"vad": False},
        {"block_seconds": 20.0},
        {"block_seconds": 5.0, "condition_on_previous_text": False},
        {"block_seconds": 40.0, "vad": False},
        {"batch_size": 4},
        {"batch_size": 2, "vad": False, "block_seconds": 50.0},
        {"initial_prompt": "A talk.", "hotwords": "umbrella"},
    ],
    ids=str,
)
def test_a_longer_talk(worker: Child, expected: dict[str, Any], settings: dict[str, Any]) -> None:
    truth = expected["dialogue.opus"]
    blocks, finished = worker.blocks("dialogue.opus", **settings)
    check_shape(blocks, finished)
    assert likeness(text_of(blocks), truth["text"]) > 0.9
    limit = settings.get("block_seconds", 300.0)
    assert all(block.end - block.start <= limit for block in blocks)
    words = [word for block in blocks for word in block.words]
    for turn in truth["turns"]:  # each sentence has words near where it begins and ends
        assert any(abs(word.start - turn["start"]) < 0.5 for word in words), turn
        assert any(abs(word.end - turn["end"]) < 0.5 for word in words), turn


@pytest.mark.parametrize("track", [0, 1])
def test_tracks(worker: Child, expected: dict[str, Any], track: int) -> None:
    truth = expected["tracks.mkv"]
    turns = [turn for turn in truth["turns"] if turn["track"] == track]
    blocks, _ = worker.blocks("tracks.mkv", audio_track=track)
    assert text_of(blocks) == truth["tracks"][track]["text"]
    for segment, turn in zip(blocks[0].segments, turns, strict=True):
        assert segment.start == pytest.approx(turn["start"], abs=0.5)
        assert segment.end == pytest.approx(turn["end"], abs=0.4)


@pytest.mark.parametrize("engine", ["faster-whisper", "offline"])
@pytest.mark.parametrize("name", ["silence.wav", "noise.wav"])
def test_silence_is_a_result(worker: Child, name: str, engine: str) -> None:
    blocks, finished = worker.blocks(name, engine=engine, initial_prompt="Once upon a time")
    (block,) = blocks
    assert (block.segments, block.words, block.speech, block.language) == ((), (), 0.0, None)
    assert block.prompt == "Once upon a time"
    assert finished.duration == 3.0


def test_offline(worker: Child, expected: dict[str, Any]) -> None:
    blocks, finished = worker.blocks("stereo.flac", engine="offline", vad=False)
    check_shape(blocks, finished)
    assert likeness(text_of(blocks), expected["stereo.flac"]["text"]) > 0.8


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dialogue.opus", {"block_seconds": 30.0}),
        ("dialogue.opus", {"block_seconds": 30.0, "batch_size": 3}),
        ("dialogue.opus", {"block_seconds": 40.0, "vad": False, "hotwords": "train"}),
        ("stereo.flac", {"block_seconds": 5.0, "engine": "offline"}),
    ],
    ids=str,
)
def test_resume_equals_no_interruption(
    worker: Child, spawn: Spawn, name: str, settings: dict[str, Any]
) -> None:
    whole, finished = worker.blocks(name, **settings)
    assert len(whole) >= 3
    children = [spawn(), worker]
    for number in range(1, len(whole)):
        child = children[number % 2]
        rest, again = child.blocks(name, after(whole[number - 1]), **settings)
        assert rest == whole[number:]
        assert again == finished
    nothing, again = worker.blocks(name, after(whole[-1]), **settings)
    assert (nothing, again) == ([], finished)


def test_replies_come_in_order(worker: Child) -> None:
    kinds = [type(reply) for reply in worker.run("sentence.wav")]
    assert kinds == [Probed, Loaded, BlockDone, Finished]


def test_a_resumed_task_keeps_its_language(worker: Child) -> None:
    resume = Resume(block=4, position=0.0, language="en", language_probability=0.7, prompt="")
    blocks, _ = worker.blocks("sentence.wav", resume)
    assert (blocks[0].number, blocks[0].language_probability) == (4, 0.7)


def test_bad_files_fail_and_harm_nobody_else(worker: Child, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "garbage").write_bytes(os.urandom(5000))
    (tmp_path / "header").write_bytes((AUDIO / "sentence.wav").read_bytes()[:44])
    (tmp_path / "torn.mp4").write_bytes((AUDIO / "speech.mp4").read_bytes()[:30000])
    codes = {name: worker.failure(tmp_path / name)[0] for name in os.listdir(tmp_path)}
    assert codes == {
        "empty": "empty_file",
        "garbage": "invalid_media",
        "header": "empty_audio",
        "torn.mp4": "invalid_media",
    }
    assert worker.failure("speech.mp3", audio_track=3)[0] == "no_such_track"
    assert worker.failure("speech.mp3", engine="magic")[0] == "engine_missing"
    assert worker.failure("speech.mp3", model="/no/where")[0] == "model_missing"
    assert worker.failure("speech.mp3", language="de")[0] == "unsupported_setting"
    assert worker.failure("speech.mp3", hardware={"device": "cuda:7"})[0] == "device_unavailable"
    assert worker.blocks("sentence.wav")[0][0].segments


def test_a_truncated_recording_is_transcribed_and_told(worker: Child, tmp_path: Path) -> None:
    half = tmp_path / "half.mp3"
    half.write_bytes((AUDIO / "speech.mp3").read_bytes()[:30000])
    blocks, finished = worker.blocks(half)
    assert text_of(blocks).startswith("Martin will arrive on Thursday in the evening.")
    assert finished.warnings == ("the recording ends at 5.0 s of 9.7 s: it may be truncated",)


def test_a_folder_can_not_be_read(worker: Child, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    socket.send_fds(worker.commands, [encode(task()) + b"\n"], [fd])
    os.close(fd)
    (last,) = worker.rest()
    assert isinstance(last, Failed)
    assert last.code == "read_failed"


def test_stop_at_once(worker: Child) -> None:
    worker.send(AUDIO / "dialogue.opus", task(engine="fake", model="slow"))
    worker.wait_for(Loaded)
    worker.stop(after_block=False)
    assert isinstance(list(worker.rest())[-1], Stopped)
    assert worker.blocks("sentence.wav", engine="fake", model="ok")[0]


def test_stop_after_the_block(worker: Child) -> None:
    worker.send(AUDIO / "dialogue.opus", task(engine="fake", model="slow", block_seconds=10.0))
    worker.wait_for(BlockDone)
    worker.stop(after_block=True)
    rest = [reply for reply in worker.rest() if not isinstance(reply, Beat)]
    assert isinstance(rest[-1], Stopped)
    assert 0 <= len(rest) - 1 <= 2
    assert all(isinstance(reply, BlockDone) for reply in rest[:-1])


def test_stop_for_another_lease_is_ignored(worker: Child) -> None:
    worker.send(AUDIO / "speech.mp3", task(engine="fake", model="slow", lease=2))
    worker.wait_for(Loaded)
    worker.stop(after_block=False, lease=1)
    worker.stop(after_block=False, job=7, lease=2)
    assert isinstance(list(worker.rest())[-1], Finished)


def test_stop_while_the_whisper_works(worker: Child) -> None:
    worker.send(AUDIO / "dialogue.opus", task())
    worker.wait_for(Loaded)
    worker.stop(after_block=False)
    replies = list(worker.rest())
    assert isinstance(replies[-1], Stopped)
    assert not any(isinstance(reply, BlockDone) for reply in replies)


def test_beats_show_progress(worker: Child) -> None:
    worker.send(AUDIO / "dialogue.opus", task(engine="fake", model="slow", block_seconds=20.0))
    beats = [reply for reply in worker.rest() if isinstance(reply, Beat)]
    assert len(beats) >= 3
    ticks = [beat.ticks for beat in beats]
    assert ticks == sorted(set(ticks))
    positions = [beat.position for beat in beats]
    assert positions == sorted(positions)
    assert positions[-1] > 30


def test_a_hanging_worker_beats_without_ticks_and_ends_with_its_socket(spawn: Spawn) -> None:
    child = spawn()
    child.send(AUDIO / "dialogue.opus", task(engine="fake", model="hang-first"))
    child.wait_for(Loaded)
    ticks: list[int] = []
    while len(ticks) < 3 or len(set(ticks[-2:])) > 1:
        beat = child.wait_for(Beat)
        assert isinstance(beat, Beat)
        ticks.append(beat.ticks)
    child.stop(after_block=False)
    child.process.send_signal(signal.SIGTERM)
    child.process.send_signal(signal.SIGINT)
    assert isinstance(child.wait_for(Beat), Beat)
    child.commands.close()
    assert child.process.wait(30) == 0


def test_an_idle_worker_ends_with_its_socket(spawn: Spawn) -> None:
    child = spawn()
    child.commands.close()
    assert child.process.wait(30) == 0


def test_babble_does_not_reach_the_protocol(spawn: Spawn, tmp_path: Path) -> None:
    with (tmp_path / "journal").open("wb") as journal:
        child = spawn(stderr=journal)
        blocks, _ = child.blocks("sentence.wav", engine="fake", model="babble")
    assert text_of(blocks) == "second0 second1"
    assert (tmp_path / "journal").stat().st_size > 3 << 20


@pytest.mark.parametrize(("script", "code"), [("oom", "out_of_memory"), ("raise", "engine_failed")])
def test_errors_of_an_engine(worker: Child, script: str, code: str) -> None:
    settings = {"engine": "fake", "model": script, "block_seconds": 30.0}
    replies = worker.run("dialogue.opus", **settings)
    assert isinstance(replies[-2], BlockDone)
    assert isinstance(replies[-1], Failed)
    assert replies[-1].code == code
    assert "secret" not in replies[-1].detail
    assert worker.blocks("sentence.wav", engine="fake", model="ok")[0]


@pytest.mark.parametrize(("script", "status"), [("crash", -signal.SIGSEGV), ("exit", 3)])
def test_deaths(spawn: Spawn, script: str, status: int) -> None:
    child = spawn()
    child.send(AUDIO / "dialogue.opus", task(engine="fake", model=script, block_seconds=30.0))
    child.wait_for(BlockDone)
    with pytest.raises(EOFError):
        list(child.rest())
    assert child.process.wait(30) == status


def test_crash_once_then_resume(spawn: Spawn, tmp_path: Path) -> None:
    env = {"SCRIBERRD_FAKE_STATE": str(tmp_path / "crashed")}
    settings = {"engine": "fake", "model": "crash-once", "block_seconds": 30.0}
    child = spawn(env=env)
    child.send(AUDIO / "dialogue.opus", task(**settings))
    done = child.wait_for(BlockDone)
    assert isinstance(done, BlockDone)
    rest, _ = spawn(env=env).blocks("dialogue.opus", after(done.block), **settings)
    assert rest[0].number == 1


def test_suspect_text_prompts_nothing(worker: Child) -> None:
    settings = {"engine": "fake", "block_seconds": 30.0, "initial_prompt": "Before."}
    good, _ = worker.blocks("dialogue.opus", model="ok", **settings)
    bad, _ = worker.blocks("dialogue.opus", model="suspect", **settings)
    alone, _ = worker.blocks(
        "dialogue.opus", model="ok", condition_on_previous_text=False, **settings
    )
    assert good[0].prompt.startswith("Before. second0 second1 ")
    assert len(good[-1].prompt) <= 1000
    assert {block.prompt for block in bad} == {""}
    assert {block.prompt for block in alone} == {""}


def test_lines_may_be_torn_and_joined(spawn: Spawn) -> None:
    child = spawn()
    line = encode(task(engine="fake", model="ok", job=1)) + b"\n"
    stop = encode(Stop(job=9, lease=9, after_block=False)) + b"\n"
    with (AUDIO / "sentence.wav").open("rb") as one, (AUDIO / "speech.mp3").open("rb") as two:
        child.commands.sendall(stop + stop[:10])
        child.commands.sendall(stop[10:])
        socket.send_fds(child.commands, [line[:50]], [one.fileno()])
        child.commands.sendall(line[50:] + stop)
        second = encode(task(engine="fake", model="ok", job=2)) + b"\n"
        socket.send_fds(child.commands, [second], [two.fileno()])
    first = list(child.rest())[-1]
    last = list(child.rest())[-1]
    assert isinstance(first, Finished)
    assert isinstance(last, Finished)
    assert (first.job, last.job) == (1, 2)
    assert (first.duration, last.duration) == (2.655, 9.7)


def test_a_command_that_is_none_ends_the_worker(spawn: Spawn) -> None:
    child = spawn()
    child.commands.sendall(b'{"type":"dance"}\n')
    assert child.process.wait(30) == 76


def test_a_task_without_a_recording_fails(spawn: Spawn) -> None:
    child = spawn()
    child.commands.sendall(encode(task()) + b"\n")
    last = child.reply()
    assert isinstance(last, Failed)
    assert last.code == "internal_error"
    assert child.blocks("sentence.wav", engine="fake", model="ok")[0]


def test_no_descriptor_is_left_open(spawn: Spawn) -> None:
    child = spawn()
    folder = Path(f"/proc/{child.process.pid}/fd")
    child.blocks("sentence.wav")
    before = len(os.listdir(folder))
    for _ in range(5):
        child.blocks("sentence.wav")
        child.failure("expected.json")
    assert len(os.listdir(folder)) <= before


def forbid_generated_code() -> None:
    """As MemoryDenyWriteExecute= does."""
    if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
        os._exit(99)


def test_it_refuses_to_compute_nonsense(spawn: Spawn, tmp_path: Path) -> None:
    with (tmp_path / "journal").open("wb") as journal:
        child = spawn(stderr=journal, preexec_fn=forbid_generated_code)
        status = child.process.wait(30)
    if status == 99:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert status == 78
    assert "MemoryDenyWriteExecute" in (tmp_path / "journal").read_text()


def test_it_starts_without_heavy_modules() -> None:
    heavy = {"numpy", "av", "faster_whisper", "ctranslate2", "onnxruntime", "pocketsphinx"}
    code = "import sys, scriberrd.worker.__main__; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not heavy & set(loaded)


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """Even when somebody else still holds the daemon's end of the socket."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import subprocess, sys\n"
        "fds = sys.argv[1:]\n"
        "command = [sys.executable, '-m', 'scriberrd.worker', *fds]\n"
        "child = subprocess.Popen(command, pass_fds=[int(fd) for fd in fds])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    ours, theirs = socket.socketpair()
    replies, pipe = os.pipe()
    fds = theirs.fileno(), pipe
    parent = subprocess.Popen(
        [sys.executable, script, *(str(fd) for fd in fds)], pass_fds=fds, stdout=subprocess.PIPE
    )
    theirs.close()
    os.close(pipe)
    with ours, parent, os.fdopen(replies, "rb") as pipe_end:
        assert parent.stdout is not None
        parent.stdout.readline()
        with (AUDIO / "sentence.wav").open("rb") as file:
            line = encode(task(engine="fake", model="hang-first")) + b"\n"
            socket.send_fds(ours, [line], [file.fileno()])
        pipe_end.readline()  # it is at work
        parent.kill()
        pipe_end.read()  # ends when no process holds the other end
