"""A real worker process over real descriptors, as a test talks to it."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faster_whisper.audio import decode_audio

from scriberrd.protocol import (
    BlockDone,
    Diarize,
    Diarized,
    Failed,
    Finished,
    Hardware,
    Heartbeat,
    Reply,
    Resume,
    Stop,
    Stopped,
    Task,
    decode_reply,
    encode,
)
from scriberrd.settings import Settings
from scriberrd.worker.audio import RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scriberrd.transcript import BlockResult

TESTS = Path(__file__).parent.parent
AUDIO = TESTS.parent / "test-audio"
TALK = TESTS / "talk.opus"
MODEL = TESTS / "models" / "whisper-flite" / "model"
FAKE = TESTS / "fake_engine"
DEADLINE = 120.0  # seconds that anything may take


class Child:
    """`python -m scriberrd.worker`, with its command socket and its reply pipe."""

    def __init__(self, stderr: Any = None, env: dict[str, str] | None = None, **popen: Any) -> None:
        self.commands, theirs = socket.socketpair()
        self.replies, pipe = os.pipe()
        path = os.pathsep.join([str(FAKE), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scriberrd.worker", str(theirs.fileno()), str(pipe)],
            pass_fds=(theirs.fileno(), pipe),
            stdout=stderr,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            **popen,
        )
        theirs.close()
        os.close(pipe)
        self._buffer = b""

    def close(self) -> None:
        self.commands.close()
        os.close(self.replies)
        self.process.kill()
        self.process.wait()

    def send(self, recording: Path, task: Task | Diarize) -> None:
        with recording.open("rb") as file:
            socket.send_fds(self.commands, [encode(task) + b"\n"], [file.fileno()])

    def stop(self, *, after_block: bool, job: int = 1, lease: int = 1) -> None:
        command = Stop(job=job, lease=lease, after_block=after_block)
        self.commands.sendall(encode(command) + b"\n")

    def reply(self) -> Reply:
        """The next reply; EOFError when the worker is gone, TimeoutError past the deadline."""
        until = time.monotonic() + DEADLINE
        while b"\n" not in self._buffer:
            left = max(0.0, until - time.monotonic())
            if not select.select([self.replies], [], [], left)[0]:
                raise TimeoutError
            data = os.read(self.replies, 65536)
            if not data:
                raise EOFError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return decode_reply(line)

    def rest(self) -> Iterator[Reply]:
        """All replies up to the one that ends the task."""
        while True:
            reply = self.reply()
            yield reply
            if isinstance(reply, (Finished, Diarized, Failed, Stopped)):
                return

    def wait_for(self, kind: type[Reply]) -> Reply:
        return next(reply for reply in self.rest() if isinstance(reply, kind))

    def run(self, name: str | Path, resume: Resume | None = None, **settings: Any) -> list[Reply]:
        """All replies about a task, but for beats."""
        self.send(AUDIO / name, task(resume=resume, **settings))
        return [reply for reply in self.rest() if not isinstance(reply, Heartbeat)]

    def blocks(
        self, name: str | Path, resume: Resume | None = None, **settings: Any
    ) -> tuple[list[BlockResult], Finished]:
        """The blocks of a task that must end well."""
        replies = self.run(name, resume, **settings)
        last = replies[-1]
        assert isinstance(last, Finished), last
        return [reply.block for reply in replies if isinstance(reply, BlockDone)], last

    def failure(self, name: str | Path, **settings: Any) -> tuple[str, str]:
        """Code and detail of a task that must fail."""
        last = self.run(name, **settings)[-1]
        assert isinstance(last, Failed), last
        return last.code, last.detail


def task(resume: Resume | None = None, job: int = 1, lease: int = 1, **settings: Any) -> Task:
    given = {"engine": "faster-whisper", "model": str(MODEL), **settings}
    hardware = {"device": "cpu", "threads": 1, "compute_type": "auto", **given.pop("hardware", {})}
    return Task(
        job=job,
        lease=lease,
        settings=Settings(**given),
        hardware=Hardware(**hardware),
        share=1,
        resume=resume,
        auto_download=given.get("auto_download", False),
        model_cache="",
    )


def after(block: BlockResult) -> Resume:
    """The checkpoint behind `block`, through JSON as the daemon keeps it."""
    return Resume(
        block=block.number + 1,
        position=block.end,
        language=block.language,
        language_probability=block.language_probability,
    )


def beginning(name: str, seconds: float, folder: Path) -> Path:
    """The first seconds of a recording, as a recording."""
    path = folder / "beginning.wav"
    samples = decode_audio(str(AUDIO / name))[: int(seconds * RATE)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def text_of(blocks: Iterable[BlockResult]) -> str:
    """What is said in these blocks."""
    return " ".join(segment.text for block in blocks for segment in block.segments)
