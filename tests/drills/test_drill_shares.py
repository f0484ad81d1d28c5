"""The server of a share stops: no call on it comes back."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, BIN, DEADLINE, TESTS, Program, wait_for
from promises import checkpointed, refusal

from scriberrctl.client import Client
from scriberrctl.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SABOTEUR = Path(__file__).parent / "saboteur.py"
SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = AUDIO / "dialogue.opus"
SILENT = "its file system does not answer"


class Share:
    """The inbox of a program, on a server that can be stopped."""

    def __init__(self, program: Program, folder: Path | None = None) -> None:
        self._program = program
        self._stopped = program.root / "stopped"
        self.environment = {"SABOTAGE_HANG": f"{folder or program.inbox}:{self._stopped}"}

    def start(self) -> None:
        self._program.start(sys.executable, SABOTEUR, **self.environment)

    def stop(self) -> None:
        self._stopped.touch()

    def go_on(self) -> None:
        self._stopped.unlink()

    def status(self) -> tuple[str, str | None]:
        """What is said of the inbox."""
        (inbox,) = [one for one in self._program.ctl("status")["inboxes"] if one["name"] == "main"]
        return inbox["state"], inbox["reason"]


def others_work(daemon: Program, name: str) -> None:
    """A recording in another inbox is noticed and transcribed."""
    (daemon.root / "calm" / name).write_bytes(SENTENCE.read_bytes() + name.encode())
    daemon.wait(name, "completed")


@pytest.fixture
def share(program: Make) -> Callable[..., tuple[Program, Share]]:
    def make(**settings: Any) -> tuple[Program, Share]:
        daemon = program(start=False, **settings)
        return daemon, Share(daemon)

    return make


@pytest.mark.fault(28)
def test_jobs_wait_and_others_do_not(share: Callable[..., tuple[Program, Share]]) -> None:
    """the server of an inbox's share stops while recordings of it wait
    -> the inbox is out and says so, other inboxes work, its recordings are done afterwards"""
    daemon, nas = share()
    nas.start()
    daemon.ctl("pause", "--inbox", "main")
    for number in range(2):
        daemon.drop(SENTENCE.read_bytes() + b"%d" % number, f"{number}.wav")
    for number in range(2):
        daemon.wait(f"{number}.wav", "queued")
    nas.stop()
    daemon.ctl("resume")
    outage = daemon.outage()
    assert (outage["part"], outage["name"]) == ("inbox", "main")
    assert (outage["error"]["code"], outage["error"]["detail"]) == ("inbox_unavailable", SILENT)
    wait_for(lambda: nas.status() == ("unavailable", SILENT), "the status of the inbox")
    others_work(daemon, "other.wav")
    assert refusal(daemon, "0.wav") == (422, "invalid_request")
    nas.go_on()
    for number in range(2):
        assert daemon.wait(f"{number}.wav", "completed")["failures"] == 0
    wait_for(lambda: nas.status()[0] == "watching", "the inbox is watched again")
    daemon.drop(SENTENCE.read_bytes() + b"0", "late.wav")
    daemon.wait("late.wav", "completed")


@pytest.mark.fault(28, 9)
def test_the_daemon_starts_and_ends(share: Callable[..., tuple[Program, Share]]) -> None:
    """the daemon is checked, started, reloaded and stopped while the server of a share is stopped
    -> none of it waits; the recordings stay where they are"""
    daemon, nas = share()
    daemon.drop(SENTENCE, "one.wav")
    nas.stop()
    checked = subprocess.run(
        [sys.executable, SABOTEUR, BIN / "scriberrd", "check", "--config", daemon.config],
        env=os.environ | nas.environment | {"PYTHONPATH": str(TESTS / "fake_engine")},
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    assert f"inbox[1].path: {daemon.inbox}: {SILENT}" in checked.stderr
    nas.start()
    others_work(daemon, "other.wav")
    with pytest.raises(ApiError) as refused:
        Client(str(daemon.socket)).upload("up.wav", io.BytesIO(b"sound"))
    assert (refused.value.code, SILENT in str(refused.value)) == ("upload_failed", True)
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.said("reloaded the configuration"), "the reload")
    others_work(daemon, "more.wav")
    assert daemon.stop() == 0
    nas.go_on()
    nas.start()
    assert daemon.wait("one.wav", "completed")["failures"] == 0


@pytest.mark.fault(28, 10)
def test_the_daemon_ends_while_a_recording_is_opened(
    share: Callable[..., tuple[Program, Share]],
) -> None:
    """SIGTERM while the share of the recording that was just claimed does not answer
    -> the daemon ends, and the recording is done by the next one"""
    daemon, nas = share()
    nas.start()
    daemon.ctl("pause")
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "queued")
    nas.stop()
    daemon.ctl("resume")
    daemon.wait("one.wav", "processing")
    assert daemon.stop() == 0
    nas.go_on()
    nas.start()
    job = daemon.wait("one.wav", "completed")
    assert job["failures"] == 0


@pytest.mark.fault(28, 6)
def test_a_worker_that_waits_for_the_share(share: Callable[..., tuple[Program, Share]]) -> None:
    """a worker stands still because the server of its recording's share has stopped
    -> the inbox is out, nothing is charged to the recording, it goes on from the checkpoint"""
    daemon, nas = share(model="slow", block_seconds=5, heartbeat_timeout="3s")
    nas.start()
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    nas.stop()
    daemon.workers()[0].send_signal(signal.SIGSTOP)  # as one that reads from the share
    assert daemon.outage()["part"] == "inbox"
    others_work(daemon, "other.wav")
    nas.go_on()
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    runs = daemon.ctl("show", job["id"])["executions"]
    assert {run["error"]["code"] for run in runs[:-1]} == {"inbox_unavailable"}
    assert runs[0]["signal"] == "SIGKILL"
    assert runs[-1]["audio_seconds"] < job["progress"]["duration"]


@pytest.mark.fault(6, 28)
def test_a_worker_that_cannot_be_killed(program: Make) -> None:
    """a worker that stands still can't be killed, since it waits for a share
    -> its slot goes on with another one, and the daemon ends"""
    daemon = program(
        start=False, model="slow", block_seconds=5, heartbeat_timeout="3s", retry="attempts = 1"
    )
    daemon.start(sys.executable, SABOTEUR, SABOTAGE_IMMORTAL="1")
    daemon.drop(DIALOGUE, "long.opus")
    checkpointed(daemon, "long.opus")
    daemon.workers()[0].send_signal(signal.SIGSTOP)
    assert daemon.wait("long.opus", "failed")["error"]["code"] == "worker_stalled"
    assert daemon.said("can't be ended yet") == 1
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    assert len(daemon.workers()) == 2
    assert daemon.stop() == 0


@pytest.mark.fault(38)
def test_the_server_of_the_output_folder_stops(program: Make) -> None:
    """the server of the output folder's share stops
    -> the folder is out and says so, others are served; the API and the exit do not wait for it"""
    daemon = program(start=False)
    nas = Share(daemon, daemon.out)
    nas.start()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    nas.stop()
    daemon.drop(SENTENCE.read_bytes() + b"2", "two.wav")
    outage = daemon.outage()
    assert (outage["part"], outage["error"]["detail"]) == ("output", SILENT)
    others_work(daemon, "other.wav")
    with pytest.raises(ApiError, match="does not answer"):
        Client(str(daemon.socket)).transcript(1, "txt")
    assert daemon.ctl("status")["state"] == "running"
    nas.go_on()
    daemon.wait("two.wav", "completed")
    nas.stop()
    daemon.drop(SENTENCE.read_bytes() + b"3", "three.wav")
    wait_for(lambda: daemon.said("job 4 main/three.wav: started on"), "a run that needs the folder")
    assert daemon.stop() == 0
    nas.go_on()
    nas.start()
    assert daemon.wait("three.wav", "completed")["failures"] == 0


@pytest.mark.fault(28)
def test_a_model_comes_from_a_folder_that_does_not_answer(program: Make) -> None:
    """many models are to be copied from a share whose server has stopped
    -> each is refused; meanwhile recordings are done, figures are told, and the daemon ends"""
    daemon = program(start=False)
    stick = daemon.root / "stick"
    stick.mkdir()
    nas = Share(daemon, stick)
    nas.start()
    nas.stop()

    def pull(_: int) -> str:
        with pytest.raises(ApiError) as refused:
            Client(str(daemon.socket)).pull("small", str(stick))
        assert SILENT in str(refused.value)
        return refused.value.code

    many = min(32, (os.cpu_count() or 1) + 4)  # the threads that asyncio has
    with ThreadPoolExecutor(many) as asking:
        codes = asking.map(pull, range(many))
        try:
            daemon.drop(SENTENCE, "one.wav")
            daemon.wait("one.wav", "completed")
            assert b"scriberrd_jobs" in Client(str(daemon.socket)).connection.read("/metrics")[1]
        except BaseException:
            nas.go_on()  # nobody waits for ever
            raise
        assert set(codes) == {"pull_failed"}
    assert daemon.stop() == 0
