"""The whole worker as a process: its commands and replies, its faults and its end."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from child import AUDIO, TALK, Child, after, task, text_of

from scriberrd.protocol import (
    BlockDone,
    Failed,
    Finished,
    Heartbeat,
    Loaded,
    Probed,
    Ready,
    Stop,
    Stopped,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Spawn = Callable[..., Child]


def test_replies_come_in_order(worker: Child) -> None:
    kinds = [type(reply) for reply in worker.run("sentence.wav")]
    assert kinds == [Ready, Probed, Loaded, BlockDone, Finished]


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


def test_a_folder_can_not_be_read(worker: Child, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    socket.send_fds(worker.commands, [encode(task()) + b"\n"], [fd])
    os.close(fd)
    ready, last = (reply for reply in worker.rest() if not isinstance(reply, Heartbeat))
    assert isinstance(ready, Ready)
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
    rest = [reply for reply in worker.rest() if not isinstance(reply, Heartbeat)]
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
    worker.send(TALK, task(engine="fake", model="slow", block_seconds=20.0))
    beats = [reply for reply in worker.rest() if isinstance(reply, Heartbeat)]
    ticks = [beat.ticks for beat in beats]
    assert ticks == sorted(ticks)
    assert len(set(ticks)) >= 3  # a machine that is busy may get no further between two of them
    positions = [beat.position for beat in beats]
    assert positions == sorted(positions)
    assert positions[-1] > 30


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores a signal: proc(5), SigIgn."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    ignored = next(line for line in status if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> (number - 1) & 1)


def test_a_hanging_worker_beats_without_ticks_and_ends_with_its_socket(spawn: Spawn) -> None:
    child = spawn()
    child.send(AUDIO / "dialogue.opus", task(engine="fake", model="hang-first"))
    child.wait_for(Loaded)
    while not ignores(child.process.pid, signal.SIGTERM):  # which is how it begins to hang
        child.wait_for(Heartbeat)
    *_, last_but_one, last = (child.wait_for(Heartbeat) for _ in range(4))  # some are older
    assert isinstance(last, Heartbeat)
    assert last_but_one == last
    child.stop(after_block=False)
    child.process.send_signal(signal.SIGTERM)
    child.process.send_signal(signal.SIGINT)
    assert isinstance(child.wait_for(Heartbeat), Heartbeat)
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
    assert text_of(blocks) == "second0. second1."
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
    for _ in range(3):
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
    heavy = {"numpy", "av", "faster_whisper", "ctranslate2", "onnxruntime"}
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
