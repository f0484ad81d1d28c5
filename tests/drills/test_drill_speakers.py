"""Something happens while it is found out who says what; the words are there by then."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, TALK, Program, wait_for
from promises import recorded

from scriberrd.transcript import PENDING

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]
    Seen = Callable[[object], None]

SPEECH = AUDIO / "speech.opus"


def profile(model: str, diarize: str, *more: str) -> str:
    """The lines of a profile that tells speakers apart."""
    lines = (f'diarize = "{diarize}"', 'diarizer = "fake"', f'diarization_model = "{model}"')
    return "\n".join((*lines, *more))


def diarizing(daemon: Program, name: str = "talk.opus") -> dict[str, Any]:
    """The job about a recording, once its speakers are being told apart."""

    def reached() -> dict[str, Any] | None:
        job = daemon.job(name)
        return job if job is not None and (job["progress"]["diarized"] or 0) > 0 else None

    found: dict[str, Any] = wait_for(reached, lambda: f"diarizing: {daemon.jobs()}")
    return found


def diarizer(daemon: Program) -> int:
    """The process that is at it."""
    pid: int = daemon.ctl("status")["workers"][0]["pid"]
    return pid


@pytest.mark.fault(51)
@pytest.mark.parametrize("diarize", ["auto", pytest.param("required", marks=pytest.mark.slow)])
def test_the_diarizer_is_killed(program: Make, diarize: str) -> None:
    """kill -9 of the diarizer in mid-run, of a recording that may not fail once
    -> no word is lost or made again, the speakers are told apart by another one, no failure"""
    daemon = program(profile=profile("slow", diarize), block_seconds=5, retry="attempts = 1")
    daemon.drop(SPEECH, "talk.opus")
    diarizing(daemon)
    pid = diarizer(daemon)
    (engine,) = (worker.pid for worker in daemon.workers() if worker.pid != pid)
    next(one for one in daemon.workers() if one.pid == pid).send_signal(signal.SIGKILL)
    job = daemon.wait("talk.opus", "completed")
    assert (job["failures"], job["fallbacks"]) == (0, [])
    assert daemon.transcript("talk.json")["turns"]
    first, second = daemon.ctl("show", job["id"])["executions"]
    assert (first["error"]["code"], first["signal"]) == ("worker_killed", "SIGKILL")
    assert second["audio_seconds"] == 0
    assert engine in [worker.pid for worker in daemon.workers()]  # which had done nothing wrong


@pytest.mark.fault(51)
@pytest.mark.slow
@pytest.mark.parametrize("model", ["missing", "refused", "absent", "no-device"])
def test_no_diarizer_and_then_there_is_one(program: Make, model: str, seen: Seen) -> None:
    """the diarizer or its model is not there, and somebody mends that
    -> who requires the speakers waits and is completed then; nothing is counted; others proceed"""
    daemon = program(profile=profile(f"{model}+until", "required"), block_seconds=5)
    daemon.drop(SPEECH, "talk.opus")
    outage = daemon.outage()
    assert outage["part"] == "diarizer"
    (daemon.root / "calm/other.opus").write_bytes(TALK.read_bytes())
    daemon.wait("other.opus", "completed")
    (daemon.root / "fake-state").touch()
    assert daemon.wait("talk.opus", "completed")["failures"] == 0
    assert daemon.transcript("talk.json")["turns"]
    seen(outage["error"]["code"])


@pytest.mark.fault(51)
@pytest.mark.slow
@pytest.mark.parametrize("model", ["missing", "refused", "crash", "raise", "oom", "hang"])
def test_a_diarizer_that_never_works(program: Make, model: str, seen: Seen) -> None:
    """a diarizer that is missing, refused, crashes, fails or hangs, each time
    -> the words are published, with a warning that says why and what to do"""
    limit = {"stall_timeout": "5s"} if model == "hang" else {}
    daemon = program(profile=profile(model, "auto"), block_seconds=5, retry="attempts = 2", **limit)
    daemon.drop(SPEECH, "talk.opus")
    job = daemon.wait("talk.opus", "completed")
    (warning,) = daemon.transcript("talk.json")["warnings"]
    assert f"scriberrctl redo {job['id']} --stage diarize" in warning
    seen(warning.partition(";")[0])


@pytest.mark.fault(51)
@pytest.mark.slow
def test_a_cancel(program: Make) -> None:
    """a cancel while a diarizer is deaf to everything
    -> canceled, the diarizer is killed; the words stay, and say that they are words only"""
    daemon = program(profile=profile("slow", "auto"), block_seconds=5)
    daemon.drop(SPEECH, "talk.opus")
    job = diarizing(daemon)
    pid = diarizer(daemon)
    (worker,) = (one for one in daemon.workers() if one.pid == pid)
    worker.suspend()
    daemon.ctl("cancel", job["id"])
    daemon.wait("talk.opus", "canceled")
    assert not worker.is_running()
    assert daemon.transcript("talk.json")["warnings"] == [PENDING]
    daemon.ctl("retry", job["id"])
    daemon.wait("talk.opus", "completed")


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("number", "diarize"),
    [
        (signal.SIGKILL, "auto"),
        *(
            pytest.param(number, diarize, marks=pytest.mark.slow)
            for number, diarize in ((15, "auto"), (9, "required"), (15, "required"))
        ),
    ],
)
def test_a_stop_between_the_stages(program: Make, number: int, diarize: str) -> None:
    """the daemon is stopped or killed while the speakers are told apart
    -> no word is lost or made again; the speakers are told apart from the start"""
    daemon = program(profile=profile("slow", diarize), block_seconds=5, stop_timeout="0.1s")
    daemon.drop(SPEECH, "talk.opus")
    diarizing(daemon)
    daemon.stop(number)
    assert "checkpointed" in recorded(daemon, b"talk.opus").events
    daemon.start()
    job = daemon.wait("talk.opus", "completed")
    assert job["failures"] == 0
    assert daemon.transcript("talk.json")["turns"]
    first, second = daemon.ctl("show", job["id"])["executions"]
    assert (first["outcome"], second["outcome"]) == (
        "lost" if number == 9 else "released",
        "completed",
    )
    assert second["audio_seconds"] == 0


@pytest.mark.fault(51)
@pytest.mark.slow
def test_an_urgent_job_beside_it(program: Make) -> None:
    """an urgent job while the only two slots are busy, one of them with speakers
    -> the other one makes way: what can't be interrupted without loss goes on"""
    daemon = program(profile=profile("slow", "auto"), block_seconds=5, count=2, calm="slow")
    daemon.drop(TALK, "talk.opus")
    diarizing(daemon)
    (daemon.root / "calm/long.opus").write_bytes((AUDIO / "dialogue.opus").read_bytes())
    daemon.underway("long.opus", 1)
    daemon.drop(AUDIO / "sentence.wav", "urgent.wav")
    daemon.ctl("submit", daemon.inbox / "urgent.wav", "--priority", "urgent")
    daemon.wait("urgent.wav", "completed")
    job, long = daemon.job("talk.opus"), daemon.wait("long.opus", "completed")
    assert job is not None
    outcomes = [run["outcome"] for run in daemon.ctl("show", long["id"])["executions"]]
    assert outcomes == ["preempted", "completed"]
    daemon.wait("talk.opus", "completed")
    assert len(daemon.ctl("show", job["id"])["executions"]) == 1


@pytest.mark.fault(51)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "source", "more", "turns"),
    [
        ("ok", "silence.wav", (), 0),
        ("N=1", "speech.opus", (), 1),
        ("value", "speech.opus", ("speakers = 5",), 2),
        ("deaf", "speech.opus", (), 0),
        ("babble", "speech.opus", (), 2),
    ],
)
def test_odd_recordings(
    program: Make, model: str, source: str, more: tuple[str, ...], turns: int
) -> None:
    """silence, one speaker only, more asked for than there are, nobody heard, a talkative library
    -> completed, with the speakers that there are"""
    daemon = program(profile=profile(model, "required", *more), block_seconds=5)
    daemon.drop(AUDIO / source, "talk.opus")
    assert daemon.wait("talk.opus", "completed")["failures"] == 0
    found = daemon.transcript("talk.json").get("turns", [])
    assert len({turn["speaker"] for turn in found}) == turns


@pytest.mark.fault(51)
@pytest.mark.slow
def test_longer_than_is_borne(program: Make, seen: Seen) -> None:
    """a recording that is longer than max_diarize
    -> completed without speakers and without a try, with a warning that says so"""
    daemon = program(profile=profile("crash", "auto", "max_diarize = 30.0"), block_seconds=5)
    daemon.drop(TALK, "talk.opus")
    assert daemon.wait("talk.opus", "completed")["failures"] == 0
    (warning,) = daemon.transcript("talk.json")["warnings"]
    assert "max_diarize is 30" in warning
    seen(warning.partition(";")[0])
