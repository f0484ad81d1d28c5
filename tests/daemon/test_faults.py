"""What goes wrong, in the real program: each ends as promised, and nothing else suffers."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = TALK


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.wav", b"", "empty_file"),
        ("garbage.mp3", bytes(range(256)) * 400, "invalid_media"),
        ("truncated.m4a", (AUDIO / "speech.m4a").read_bytes()[:2000], "invalid_media"),
        ("zero.wav", SENTENCE.read_bytes()[:44], "empty_audio"),
    ],
)
def test_a_bad_file_fails_with_its_code_and_harms_no_other(
    program: Make, name: str, content: bytes, code: str
) -> None:
    daemon = program()
    daemon.drop(content, name)
    daemon.drop(SENTENCE, "good.wav")
    job = daemon.wait(name, "failed")
    assert job["error"]["code"] == code
    assert job["failures"] == 0
    daemon.wait("good.wav", "completed")
    assert [file for file in daemon.files() if not file.startswith("good.")] == []
    assert (daemon.inbox / name).read_bytes() == content


def test_an_unreadable_file_is_tried_again_when_permissions_change(program: Make) -> None:
    daemon = program(start=False)
    # Root reads everything, unless it has no capabilities.
    daemon.start(*(["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []))
    daemon.drop(SENTENCE, ".hidden")
    (daemon.inbox / ".hidden").chmod(0)
    (daemon.inbox / ".hidden").rename(daemon.inbox / "secret.wav")
    assert daemon.wait("secret.wav", "failed")["error"]["code"] == "unreadable"
    (daemon.inbox / "secret.wav").chmod(0o600)
    daemon.wait("secret.wav", "completed")


@pytest.mark.parametrize("script", ["hang", "slow"])
def test_cancel_ends_a_task_wherever_it_is(program: Make, script: str) -> None:
    daemon = program(model=script, block_seconds=5)
    daemon.drop(DIALOGUE, "long.opus")
    daemon.underway("long.opus", 10) if script == "slow" else wait_for(
        lambda: (daemon.job("long.opus") or {}).get("progress", {}).get("seconds", 0) >= 1, "work"
    )
    job = daemon.job("long.opus")
    assert job is not None
    daemon.ctl("cancel", job["id"])
    assert daemon.ctl("wait", job["id"], status=1)["state"] == "canceled"
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert run["outcome"] == "canceled"
    assert daemon.files() == []
    daemon.drop(SENTENCE, "next.wav")
    daemon.wait("next.wav", "completed")


def test_a_recording_replaced_while_processing_is_transcribed_anew(program: Make) -> None:
    daemon = program(model="slow")
    daemon.drop(DIALOGUE, "talk.opus")
    daemon.underway("talk.opus", 10)
    daemon.drop(AUDIO / "speech.opus", "new")
    (daemon.inbox / "new").rename(daemon.inbox / "talk.opus")
    daemon.wait("talk.opus", "completed")
    assert (
        daemon.transcript("talk.json")["source"]["size"] == (AUDIO / "speech.opus").stat().st_size
    )


def test_a_recording_deleted_while_queued_is_told_and_tried_again_when_back(program: Make) -> None:
    daemon = program(model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    daemon.wait("long.opus", "processing")
    daemon.drop(SENTENCE, "gone.wav")
    daemon.wait("gone.wav", "queued")
    (daemon.inbox / "gone.wav").unlink()
    daemon.ctl("cancel", daemon.wait("long.opus", "processing")["id"])
    error = daemon.wait("gone.wav", "failed")["error"]
    assert error["code"] == "source_missing"
    assert error["detail"] == "it is not below the folder that inbox main has now"
    assert "the path of its inbox, back" in error["advice"]
    daemon.drop(SENTENCE, "gone.wav")
    daemon.wait("gone.wav", "completed")


def test_a_link_swapped_in_is_not_followed(program: Make) -> None:
    daemon = program(model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    daemon.wait("long.opus", "processing")
    daemon.drop(SENTENCE, "note.wav")
    daemon.wait("note.wav", "queued")
    (daemon.inbox / "note.wav").unlink()
    (daemon.inbox / "note.wav").symlink_to(AUDIO / "speech.flac")
    daemon.ctl("cancel", daemon.wait("long.opus", "processing")["id"])
    assert daemon.wait("note.wav", "failed")["error"]["code"] == "not_regular"


def test_names_of_all_kinds_get_outputs_of_their_own(program: Make) -> None:
    daemon = program()
    (daemon.out / "foreign.txt").write_text("mine")
    for name in (
        *(b"talk.wav", b"talk.flac", b"foreign.wav", b"\xff\xfe.wav", b"line\nbreak.wav"),
        b"x" * 251 + b".wav",
    ):
        daemon.drop(SENTENCE.read_bytes() + name, name)
    wait_for(lambda: daemon.ctl("status")["jobs"]["completed"] == 6, "all of them")
    assert (daemon.out / "foreign.txt").read_text() == "mine"
    texts = [name for name in daemon.files() if name.endswith(".json")]
    assert len(texts) == 6
    assert {"talk.json", "foreign.wav.json", "\\xff\\xfe.json"} <= set(texts)
    assert {"talk.wav.json", "talk.flac.json"} & set(texts)
    assert not re.search("^break", daemon.log.read_text(), re.MULTILINE)


def test_a_copy_of_a_finished_recording_gets_its_transcript_without_work(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    daemon.stop()
    daemon.start()
    daemon.drop(SENTENCE, "copies/two.wav")
    job = daemon.wait("copies/two.wav", "completed")
    assert daemon.workers() == []
    assert job["outputs"] == [f"copies/two.{kind}" for kind in ("json", "srt", "txt", "vtt")]
    one, two = daemon.transcript("one.json"), daemon.transcript("copies/two.json")
    assert two == one | {"source": one["source"] | {"name": "two.wav"}}
