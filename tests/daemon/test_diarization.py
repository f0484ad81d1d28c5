"""Who said what: the stage after the words, and all that may keep it from its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from program import AUDIO, Program, wait_for

from scriberrctl.errors import ApiError
from scriberrd.failures import FAILURES
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import staged
from scriberrd.transcript import PENDING

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.model import RedoStage

    Make = Callable[..., Program]

SPEECH = AUDIO / "speech.opus"
SENTENCE = AUDIO / "sentence.wav"


def profile(model: str = "ok", diarize: str = "auto", **more: object) -> str:
    """What a profile has to say of speakers."""
    lines = {"diarize": diarize, "diarizer": "fake", "diarization_model": model} | more
    texts = {key: f'"{value}"' if isinstance(value, str) else value for key, value in lines.items()}
    return "\n".join(f"{key} = {value}" for key, value in texts.items())


def runs(daemon: Program, name: str) -> list[str]:
    """How the runs of a recording ended, and of what."""
    job = daemon.job(name)
    assert job is not None
    found = daemon.ctl("show", job["id"])["executions"]
    return [(run["error"] or {"code": run["outcome"]})["code"] for run in found]


def diarizing(daemon: Program, name: str) -> dict[str, Any]:
    """The job about a file, once its speakers are being told apart."""

    def reached() -> dict[str, Any] | None:
        job = daemon.job(name)
        return job if job is not None and job["stage"] == "diarizing" else None

    found: dict[str, Any] = wait_for(reached, lambda: f"diarizing: {daemon.jobs()}")
    return found


def deaf(pid: int) -> bool:
    """Whether a process ignores SIGTERM: with this the fake begins to hang."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    ignored = next(line for line in status if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_words_come_first_and_then_who_says_them(program: Make) -> None:
    daemon = program(profile=profile("slow"))
    daemon.drop(SPEECH, "talk.opus")
    job = diarizing(daemon, "talk.opus")
    words = daemon.transcript("talk.json")
    assert words["text"]
    assert words["warnings"] == job["warnings"] == [PENDING]
    assert not {"turns", "speakers"} & words.keys()
    assert daemon.ask.transcript(job["id"], "txt")  # it is served already
    wait_for(lambda: ((daemon.job("talk.opus") or {})["progress"]["diarized"] or 1) < 1, "progress")
    job = daemon.wait("talk.opus", "completed")
    done = daemon.transcript("talk.json")
    assert (done["text"], done["warnings"], job["warnings"]) == (words["text"], [], [])
    assert {turn["speaker"] for turn in done["turns"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert job["progress"]["diarized"] is None
    assert (len(daemon.events("published")), len(daemon.events("finished"))) == (1, 1)
    (told,) = daemon.events("diarized")
    assert told["speakers"] == 2
    assert runs(daemon, "talk.opus") == ["completed"]


def test_who_requires_the_speakers_gets_no_words_without_them(program: Make) -> None:
    daemon = program(profile=profile("slow", "required"))
    daemon.drop(SPEECH, "talk.opus")
    diarizing(daemon, "talk.opus")
    assert daemon.files() == []
    daemon.wait("talk.opus", "completed")
    assert daemon.transcript("talk.json")["turns"]
    assert daemon.events("published") == []


def test_silence_needs_no_diarizer(program: Make) -> None:
    daemon = program(profile=profile("crash", "required"))
    daemon.drop(AUDIO / "silence.wav", "silence.wav")
    assert daemon.wait("silence.wav", "completed")["failures"] == 0
    assert "turns" not in daemon.transcript("silence.json")
    assert len(daemon.workers()) == 1


@pytest.mark.parametrize("model", ["missing", "refused", "absent", "no-device", "crash-load"])
def test_without_a_diarizer_the_words_are_all_there_is(program: Make, model: str) -> None:
    daemon = program(profile=profile(model))
    daemon.drop(SPEECH, "talk.opus")
    job = daemon.wait("talk.opus", "completed")
    (warning,) = daemon.transcript("talk.json")["warnings"]
    assert job["warnings"] == [warning]
    assert warning.startswith("no speakers: ")
    assert warning.endswith(f"; then: scriberrctl redo {job['id']} --stage diarize")
    assert "then retry" not in warning  # it is completed
    assert job["failures"] == 0
    assert daemon.ctl("status")["outages"] == []


@pytest.mark.parametrize("model", ["missing", "crash-load"])
def test_who_requires_a_missing_diarizer_waits_for_it(program: Make, model: str) -> None:
    daemon = program(profile=profile(f"{model}+until", "required"))
    if model == "crash-load":
        daemon.stop()
        daemon.config.write_text(daemon.config.read_text().replace("crash-load+until", model))
        daemon.start()
    daemon.drop(SPEECH, "talk.opus")
    outage = daemon.outage()
    assert (outage["part"], outage["error"]["code"]) == ("diarizer", "diarizer_missing")
    assert outage["name"].startswith("fake ")
    job = daemon.wait("talk.opus", "queued", "processing")
    assert job["failures"] == 0
    if model == "crash-load":
        daemon.ctl("cancel", job["id"])
        return
    (daemon.root / "fake-state").touch()
    daemon.wait("talk.opus", "completed")
    assert daemon.transcript("talk.json")["turns"]
    assert daemon.ctl("status")["outages"] == []


def test_a_mended_diarizer_is_looked_at_when_a_job_is_retried(program: Make) -> None:
    daemon = program(profile=profile("absent+until", "required"), backoff="1h")
    daemon.drop(SPEECH, "talk.opus")
    daemon.outage()
    (daemon.root / "fake-state").touch()
    daemon.ctl("retry", daemon.wait("talk.opus", "queued")["id"])
    daemon.wait("talk.opus", "completed")
    assert daemon.transcript("talk.json")["turns"]


def test_a_job_that_waits_takes_another_diarizer_when_it_is_retried(program: Make) -> None:
    daemon = program(profile=profile("absent", "required"), backoff="1h")
    daemon.drop(SPEECH, "talk.opus")
    assert daemon.outage()["error"]["advice"].endswith(
        "or change diarization_model or auto_download, then retry"
    )
    daemon.config.write_text(daemon.config.read_text().replace('"absent"', '"ok"'))
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.said("outage: diarizer fake absent") == 2, "another try with the old")
    daemon.ctl("retry", daemon.wait("talk.opus", "queued")["id"])
    daemon.wait("talk.opus", "completed")
    assert daemon.transcript("talk.json")["turns"]


@pytest.mark.parametrize(
    ("model", "code"),
    [("crash", "worker_crashed"), ("raise", "diarization_failed"), ("oom", "out_of_memory")],
)
@pytest.mark.parametrize("diarize", ["auto", "required"])
def test_what_fails_each_time(program: Make, diarize: str, model: str, code: str) -> None:
    daemon = program(profile=profile(model, diarize), retry="attempts = 2")
    daemon.drop(SPEECH, "talk.opus")
    job = daemon.wait("talk.opus", "completed", "failed")
    if diarize == "required":
        assert (job["state"], job["error"]["code"]) == ("failed", code)
        assert daemon.files() == []
        assert runs(daemon, "talk.opus") == [code, code]
        assert job["progress"]["seconds"] > 9  # the words are kept
    else:
        (warning,) = daemon.transcript("talk.json")["warnings"]
        assert warning.startswith(f"no speakers: {FAILURES[code].message}: ")
        assert "secret" not in warning
        assert (job["failures"], runs(daemon, "talk.opus")) == (1, [code, "completed"])
    first = daemon.ctl("show", job["id"])["executions"]
    assert [run["audio_seconds"] > 0 for run in first] == [True, False]  # transcribed once


def test_what_fails_once_is_tried_again(program: Make) -> None:
    daemon = program(profile=profile("crash-once"))
    daemon.drop(SPEECH, "talk.opus")
    assert daemon.wait("talk.opus", "completed")["failures"] == 1
    assert daemon.transcript("talk.json")["turns"]
    assert daemon.transcript("talk.json")["warnings"] == []
    assert len(daemon.events("published")) == 1


def test_a_diarizer_that_needs_less_memory_says_so(program: Make) -> None:
    daemon = program(profile=profile("oom-big"))
    daemon.drop(SPEECH, "talk.opus")
    assert daemon.wait("talk.opus", "completed")["failures"] == 0
    assert daemon.transcript("talk.json")["turns"]


@pytest.mark.parametrize("diarize", ["auto", "required"])
def test_what_is_too_long(program: Make, diarize: str) -> None:
    daemon = program(profile=profile(diarize=diarize, max_diarize=5.0))
    daemon.drop(SPEECH, "talk.opus")
    job = daemon.wait("talk.opus", "completed", "failed")
    if diarize == "required":
        assert (job["state"], job["error"]["code"]) == ("failed", "too_long_to_diarize")
        assert job["progress"]["seconds"] > 9
    else:
        (warning,) = daemon.transcript("talk.json")["warnings"]
        assert "max_diarize is 5" in warning
        assert job["failures"] == 0
    assert len(daemon.workers()) == 1


def test_a_hang_ends_with_the_stall_timeout_and_the_length(program: Make) -> None:
    daemon = program(profile=profile("hang"), stall_timeout="5s", retry="attempts = 1", model="ok")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "completed")
    (warning,) = daemon.transcript("talk.json")["warnings"]
    assert "no progress for 6.3275 s" in warning  # of which the sentence has 2.655


def test_a_cancel_ends_it_at_once(program: Make) -> None:
    daemon = program(profile=profile("hang"))
    daemon.drop(SPEECH, "talk.opus")
    job = diarizing(daemon, "talk.opus")
    diarizer = daemon.ctl("status")["workers"][0]["pid"]
    wait_for(lambda: deaf(diarizer), "a diarizer that hears nobody")
    daemon.ctl("cancel", job["id"])
    daemon.wait("talk.opus", "canceled")
    assert diarizer not in [worker.pid for worker in daemon.workers()]
    assert daemon.transcript("talk.json")["warnings"] == [PENDING]
    with pytest.raises(ApiError, match="redo it with --stage diarize") as caught:
        daemon.ask.redo(job["id"], stage="merge")  # what there is to write has no speakers yet
    assert caught.value.code == "speakers_not_told"
    daemon.ask.redo(job["id"], stage="diarize")
    diarizing(daemon, "talk.opus")
    daemon.ctl("cancel", job["id"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("diarize", ["auto", "required"])
def test_a_stop_between_words_and_speakers(program: Make, diarize: str, number: int) -> None:
    daemon = program(profile=profile("slow", diarize), stop_timeout="0.1s")
    daemon.drop(SPEECH, "talk.opus")
    job = diarizing(daemon, "talk.opus")
    assert daemon.stop(number) == (0 if number == signal.SIGTERM else -number)
    assert bool(daemon.files()) == (diarize == "auto")
    daemon.start()
    assert daemon.wait("talk.opus", "completed")["failures"] == 0
    assert daemon.transcript("talk.json")["turns"]
    assert daemon.transcript("talk.json")["warnings"] == []
    first, second = daemon.ctl("show", job["id"])["executions"]
    assert first["outcome"] == ("released" if number == signal.SIGTERM else "lost")
    assert (first["audio_seconds"] > 9, second["audio_seconds"]) == (True, 0)
    assert len(daemon.events("published")) == (diarize == "auto")


def test_a_cancel_need_not_wait_for_the_look_at_the_diarizer(program: Make) -> None:
    daemon = program(profile=profile("mute"))
    daemon.drop(SPEECH, "talk.opus")
    wait_for(lambda: daemon.events("published"), "the words")
    daemon.ctl("cancel", (daemon.job("talk.opus") or {})["id"])
    assert daemon.wait("talk.opus", "canceled", "completed")["state"] == "canceled"


@pytest.mark.parametrize("diarize", ["auto", "required"])
def test_a_daemon_that_dies_each_time(program: Make, diarize: str) -> None:
    daemon = program(profile=profile("hang", diarize), retry="interruptions = 2")
    daemon.drop(SPEECH, "talk.opus")
    while (daemon.job("talk.opus") or {}).get("interruptions", 0) < 2:
        diarizing(daemon, "talk.opus")
        daemon.stop(signal.SIGKILL)
        daemon.start()
    job = daemon.wait("talk.opus", "completed", "failed")
    assert job["failures"] == 0
    if diarize == "required":
        assert (job["state"], job["error"]["code"]) == ("failed", "interrupted_too_often")
        return
    assert job["state"] == "completed"
    (warning,) = daemon.transcript("talk.json")["warnings"]
    assert warning.startswith("no speakers: the daemon or the machine went down")


def test_a_diarizer_that_somebody_kills_each_time(program: Make) -> None:
    daemon = program(profile=profile("hang"), backoff="0.1s", retry="interruptions = 2")
    daemon.drop(SPEECH, "talk.opus")

    def ended(number: int) -> bool:
        return len([code for code in runs(daemon, "talk.opus") if code]) == number

    for number in (1, 2):
        diarizing(daemon, "talk.opus")
        diarizer = daemon.ctl("status")["workers"][0]["pid"]
        wait_for(functools.partial(deaf, diarizer), "a diarizer at work")
        os.kill(diarizer, signal.SIGKILL)
        wait_for(functools.partial(ended, number), "the end of the run")
    job = daemon.wait("talk.opus", "completed")
    assert (job["failures"], runs(daemon, "talk.opus")) == (0, ["worker_killed", "completed"])
    (warning,) = daemon.transcript("talk.json")["warnings"]
    assert warning.startswith("no speakers: somebody killed the worker process")


def test_it_makes_way_for_nobody(program: Make) -> None:
    daemon = program(profile=profile("slow"))
    daemon.drop(SPEECH, "talk.opus")
    diarizing(daemon, "talk.opus")
    (daemon.root / "calm/urgent.wav").write_bytes(SENTENCE.read_bytes())
    daemon.ctl("submit", daemon.root / "calm/urgent.wav", "--priority", "urgent")
    daemon.wait("urgent.wav", "completed")
    assert runs(daemon, "talk.opus") == ["completed"]


def test_each_kind_of_work_has_its_process(program: Make) -> None:
    daemon = program(profile=profile("slow"), model="slow", idle_unload="1s")
    daemon.drop(SPEECH, "talk.opus")
    wait_for(lambda: len(daemon.workers()) == 1, "the engine")
    (engine,) = daemon.workers()
    diarizing(daemon, "talk.opus")
    diarizer = daemon.ctl("status")["workers"][0]["pid"]
    assert {worker.pid for worker in daemon.workers()} == {engine.pid, diarizer}
    assert engine.pid != diarizer
    daemon.wait("talk.opus", "completed")
    wait_for(lambda: not daemon.workers(), "both to end when they are idle")


def test_what_was_done_for_the_same_bytes_is_not_done_again(program: Make) -> None:
    daemon = program(profile=profile())
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    daemon.drop(SPEECH, "copy.opus")
    daemon.wait("copy.opus", "completed")
    first, second = (daemon.transcript(name) for name in ("talk.json", "copy.json"))
    assert first["turns"] == second["turns"]
    assert len(daemon.events("diarized")) == 1
    assert len(daemon.events("published")) == 1  # the copy was complete at once


def order(daemon: Program, stage: RedoStage | None, **today: Any) -> None:
    """Have the only job redone from a stage on, while the daemon is down."""
    assert daemon.stop() == 0
    with contextlib.closing(Store(daemon.root / "state/scriberrd.db")) as store:
        job = asyncio.run(store.read(queries.get, 1))
        settings = staged(job.settings, replace(job.settings, **today))
        how = {"profile": "default", "settings": settings, "now": time.time(), "stage": stage}
        asyncio.run(store.run(jobs.redo, 1, **how))
    daemon.start()


def test_the_speakers_alone_are_done_anew(program: Make) -> None:
    daemon = program(profile=profile())
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    before = daemon.transcript("talk.json")
    order(daemon, "diarize", speakers=1)
    job = daemon.wait("talk.opus", "completed")
    after = daemon.transcript("talk.json")
    assert {turn["speaker"] for turn in after["turns"]} == {"SPEAKER_00"}
    assert after["text"] == before["text"]
    assert daemon.ctl("show", job["id"])["executions"][1]["audio_seconds"] == 0
    assert len(daemon.workers()) == 1  # no engine was needed
    order(daemon, "diarize", diarization_model="raise", speakers=1)
    assert daemon.wait("talk.opus", "failed")["error"]["code"] == "diarization_failed"
    assert daemon.transcript("talk.json") == after  # better than none
    assert len(daemon.events("published")) == 1  # what there was stayed until the end


def test_words_that_are_not_kept_any_more_are_made_again(program: Make) -> None:
    daemon = program(profile=profile())
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    before = daemon.transcript("talk.json")
    for file in (daemon.root / "state").glob("library.db*"):
        file.unlink()
    order(daemon, "diarize")
    daemon.wait("talk.opus", "completed")
    assert daemon.transcript("talk.json")["text"] == before["text"]
    assert daemon.said("its words are not kept any more") == 1
    assert len(daemon.events("diarized")) == 2


def test_all_is_done_anew(program: Make) -> None:
    daemon = program(profile=profile())
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    order(daemon, None)
    daemon.wait("talk.opus", "completed")
    assert len(daemon.events("diarized")) == 2


def test_to_merge_again_needs_no_worker(program: Make) -> None:
    daemon = program(profile=profile())
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    before = daemon.transcript("talk.json")
    order(daemon, "merge")
    daemon.wait("talk.opus", "completed")
    assert daemon.transcript("talk.json")["turns"] == before["turns"]
    assert daemon.workers() == []


def test_words_without_speakers_are_no_transcript_after_the_database_is_lost(
    program: Make,
) -> None:
    daemon = program(profile=profile("slow"))
    daemon.drop(SPEECH, "talk.opus")
    diarizing(daemon, "talk.opus")
    daemon.stop(signal.SIGKILL)
    for file in (daemon.root / "state").glob("*.db*"):
        file.unlink()
    daemon.start()
    daemon.wait("talk.opus", "completed")
    assert len(daemon.events("diarized")) == 1


def test_a_recording_that_goes_away_between_the_stages(program: Make) -> None:
    daemon = program(profile=profile("slow"), stop_timeout="0.1s")
    daemon.drop(SPEECH, "talk.opus")
    diarizing(daemon, "talk.opus")
    daemon.stop()
    (daemon.inbox / "talk.opus").unlink()
    daemon.start()
    daemon.wait("talk.opus", "completed")
    (warning,) = daemon.transcript("talk.json")["warnings"]
    assert warning.startswith("no speakers: the file is gone")
