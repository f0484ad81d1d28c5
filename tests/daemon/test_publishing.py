"""What lies in the output folder: the newest transcript, and what people made of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from program import AUDIO, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"


def test_an_edited_transcript_stays_and_the_newest_is_beside_it(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "completed")
    text = daemon.out / "talk.txt"
    published = text.read_text()
    text.write_text("corrected by hand\n")
    said = subprocess.run([*daemon.client, "transcript", "1"], capture_output=True, check=True)
    assert said.stdout == b"corrected by hand\n"
    assert b"edited after it was published" in said.stderr
    daemon.ctl("redo", 1)
    job = daemon.wait("talk.wav", "completed")
    assert job["edited"] == ["talk.txt"]
    assert job["outputs"] == ["talk.json", "talk.new.txt", "talk.srt", "talk.vtt"]
    assert daemon.said("'talk.txt' was edited after it was published") == 1
    assert text.read_text() == "corrected by hand\n"
    newer = daemon.out / "talk.new.txt"
    assert newer.read_text() == published
    said = subprocess.run([*daemon.client, "transcript", "1"], capture_output=True, check=True)
    assert said.stdout.decode() == published
    newer.rename(text)  # it is wanted after all
    daemon.ctl("redo", 1)
    job = wait_for(
        lambda: (found := daemon.job("talk.wav")) and not found["edited"] and found, "the last one"
    )
    assert daemon.wait("talk.wav", "completed")["outputs"] == [
        f"talk.{kind}" for kind in ("json", "srt", "txt", "vtt")
    ]


def test_an_edited_transcript_stays_when_its_recording_is_tagged_anew(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "completed")
    (daemon.out / "talk.txt").write_text("corrected by hand\n")
    daemon.drop(SENTENCE.read_bytes() + b"a tag", "talk.wav")
    wait_for(lambda: daemon.ctl("status")["jobs"]["completed"] == 2, "the new version")
    assert (daemon.out / "talk.txt").read_text() == "corrected by hand\n"
    assert (daemon.out / "talk.new.txt").exists()


def test_transcripts_are_found_where_the_output_folder_was_moved(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "completed")
    daemon.out = daemon.out.rename(daemon.root / "moved")
    config = daemon.config.read_text()
    daemon.config.write_text(config.replace('output = "out"', 'output = "moved"'))
    daemon.stop()
    daemon.start()
    shown = subprocess.run([*daemon.client, "transcript", "1"], capture_output=True, check=True)
    assert shown.stdout == (daemon.out / "talk.txt").read_bytes()
    (daemon.out / "talk.txt").write_text("corrected by hand\n")
    daemon.ctl("redo", 1)
    assert daemon.wait("talk.wav", "completed")["edited"] == ["talk.txt"]
    assert not (daemon.root / "out").exists()
