"""Names of speakers, from the stage that tells them apart to every file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import stereo
from program import AUDIO, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]

SPEECH = AUDIO / "speech.opus"
PROFILE = """
diarize = "required"
diarizer = "fake"
diarization_model = "ok"
"""
FORMATS = '["json", "txt", "srt", "vtt", "rttm"]'


def texts(daemon: Program) -> dict[str, str]:
    return {path.suffix: path.read_text() for path in daemon.out.glob("talk.*")}


def named(daemon: Program) -> list[str | None]:
    return [one["name"] for one in daemon.ctl("show", 1)["speakers"]]


def test_a_name_is_in_every_file_and_outlives_what_is_merged_again(program: Make) -> None:
    daemon = program(profile=PROFILE, formats=FORMATS)
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    before = texts(daemon)
    assert "\n\nSPEAKER_01: " in before[".txt"]
    assert "<v SPEAKER_00>" in before[".vtt"]
    workers = {one.pid for one in daemon.workers()}
    daemon.ctl("pause")  # it is no work
    daemon.ctl("speakers", "name", 1, "SPEAKER_00", "Ada Lovelace")
    job = daemon.ctl("speakers", "name", 1, "SPEAKER_01", "Bob")
    assert job["state"] == "completed"
    after = texts(daemon)
    for suffix in (".txt", ".srt", ".vtt"):
        assert after[suffix] != before[suffix]
        expected = before[suffix].replace("SPEAKER_00", "Ada Lovelace")
        text = after[suffix].replace("\n", " ")
        assert text.split() == expected.replace("SPEAKER_01", "Bob").split()
    assert " Ada_Lovelace <NA> <NA>\n" in after[".rttm"]
    assert {one.pid for one in daemon.workers()} == workers
    transcript = daemon.transcript("talk.json")
    names = [
        {"label": "SPEAKER_00", "name": "Ada Lovelace"},
        {"label": "SPEAKER_01", "name": "Bob"},
    ]
    assert transcript["speakers"] == names
    daemon.ctl("redo", 1, "--stage", "merge")
    assert texts(daemon) == after
    daemon.ctl("speakers", "name", 1, "SPEAKER_00", "--clear")
    daemon.ctl("speakers", "name", 1, "SPEAKER_01", "--clear")
    assert texts(daemon) == before


def test_each_channel_is_a_speaker_and_keeps_its_number(program: Make, tmp_path: Path) -> None:
    daemon = program(profile='channels = "split"')
    daemon.drop(stereo.write(tmp_path / "call.wav", stereo.apart(12.0)), "talk.wav")
    daemon.wait("talk.wav", "completed")
    daemon.ctl("speakers", "name", 1, "SPEAKER_01", "Ada")
    speakers = daemon.ctl("show", 1)["speakers"]
    assert {one["channel"] for one in speakers} == {1, 2}
    assert [(one["label"], one["name"]) for one in speakers] == [
        ("SPEAKER_00", None),
        ("SPEAKER_01", "Ada"),
    ]
    known = [{key: value for key, value in one.items() if value} for one in speakers]
    assert daemon.transcript("talk.json")["speakers"] == known
    assert "\n\nAda: " in texts(daemon)[".txt"]


def test_names_stay_with_the_same_turns_and_go_with_others(program: Make) -> None:
    daemon = program(profile=PROFILE)
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    daemon.ctl("speakers", "name", 1, "SPEAKER_00", "Ada")
    daemon.ctl("redo", 1)  # all of it
    wait_for(lambda: not daemon.ctl("show", 1)["redo"], "the same again")
    assert named(daemon) == ["Ada", None]
    daemon.ctl("redo", 1, "--stage", "diarize")
    wait_for(lambda: not daemon.ctl("show", 1)["redo"], "the same turns")
    assert named(daemon) == ["Ada", None]
    daemon.stop()
    daemon.config.write_text(daemon.config.read_text().replace('_model = "ok"', '_model = "N=3"'))
    daemon.start()
    daemon.ctl("redo", 1, "--stage", "diarize")
    wait_for(lambda: not daemon.ctl("show", 1)["redo"], "three speakers")
    assert named(daemon) == [None, None, None]


def test_words_are_found_where_the_transcript_was_edited(program: Make) -> None:
    daemon = program(profile=PROFILE)
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    file = daemon.out / "talk.json"
    file.write_text(edited := file.read_text().replace("SPEAKER_00", "Ada"))
    job = daemon.ctl("speakers", "name", 1, "SPEAKER_00", "Ada")
    assert job["edited"] == ["talk.json"]
    assert file.read_text() == edited
    newer = daemon.transcript("talk.new.json")
    assert newer["speakers"] == [{"label": "SPEAKER_00", "name": "Ada"}]
    assert newer["turns"]
    assert (daemon.out / "talk.txt").read_text().startswith("Ada: ")


def restarted(daemon: Program, *, diarizer: bool) -> None:
    """Install the diarizer or take it away, and start a daemon that knows nothing of it yet."""
    daemon.stop()
    state = daemon.root / "fake-state"
    state.touch() if diarizer else state.unlink()
    daemon.start()


def test_speakers_and_their_names_outlive_a_diarizer_that_is_gone(program: Make) -> None:
    auto = PROFILE.replace("required", "auto").replace('"ok"', '"missing+until"')
    daemon = program(profile=auto, formats=FORMATS, start=False)
    (daemon.root / "fake-state").touch()
    daemon.start()
    daemon.drop(SPEECH, "talk.opus")
    daemon.wait("talk.opus", "completed")
    daemon.ctl("speakers", "name", 1, "SPEAKER_00", "Ada")
    before = texts(daemon)

    restarted(daemon, diarizer=False)
    daemon.ctl("redo", 1, "--stage", "diarize", "--set", "speakers=3")
    error = daemon.wait("talk.opus", "failed")["error"]
    assert error["code"] == "diarizer_unusable"
    assert "pip install 'scriberrd[diarization]'" in error["detail"]
    assert texts(daemon) == before
    restarted(daemon, diarizer=True)
    daemon.ctl("retry", 1)
    daemon.wait("talk.opus", "completed")
    assert texts(daemon)[".rttm"] == before[".rttm"]
    assert named(daemon) == ["Ada", None]

    restarted(daemon, diarizer=False)
    daemon.ctl("redo", 1)  # there are new words, and nobody to tell who says them
    wait_for(lambda: not daemon.ctl("show", 1)["redo"], "words only")
    assert named(daemon) == []
    restarted(daemon, diarizer=True)
    daemon.ctl("redo", 1, "--stage", "diarize")
    wait_for(lambda: not daemon.ctl("show", 1)["redo"], "the same turns")
    assert named(daemon) == ["Ada", None]
    assert texts(daemon)[".txt"] == before[".txt"]
