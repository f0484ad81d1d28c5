"""Which files of an inbox become recordings, in the real program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from program import AUDIO, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"


def configured(program: Make, keys: str) -> Program:
    """A program, not started, whose inbox has these keys as well."""
    daemon = program(start=False)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('settle = "0.2s"', f'settle = "0.2s"\n{keys}', 1))
    return daemon


def paths(daemon: Program) -> list[str]:
    return sorted(job["path"] for job in daemon.jobs())


def test_only_recordings_are_taken(program: Make) -> None:
    daemon = configured(program, 'ignore = ["raw/", "*-draft.*", "!good-draft.wav"]')
    wanted = ["a.wav", "b/c.WAV", "good-draft.wav", "raw.wav"]
    others = [
        *("bad-draft.wav", "raw/x.wav", "b/raw/x.wav", "@eaDir/x.wav", ".Trash-1000/x.wav"),
        *("x.sync-conflict-20240131-120000-ABCDEFG.wav", "x.wav.part", "._x.wav", "x.wav "),
        *("private/x.wav", "private/deep/x.wav", "private/.scriberrignore", "notes.txt"),
    ]
    for name in (*others, *wanted):
        daemon.drop(SENTENCE, name)
    daemon.start()
    for name in wanted:
        daemon.wait(name, "completed")
    daemon.drop(SENTENCE, "last.wav")  # by then, all of the others have been looked at again
    daemon.wait("last.wav", "completed")
    assert paths(daemon) == sorted([*wanted, "last.wav"])


def test_what_was_there_before_is_left_alone(program: Make) -> None:
    daemon = configured(program, 'existing = "ignore"')
    for number in range(20):
        daemon.drop(SENTENCE, f"old/{number}.wav")
    daemon.start()
    wait_for(lambda: daemon.said("watched for the first time, 20 files ignored"), "a look at them")
    daemon.drop(SENTENCE, "new.wav")
    daemon.wait("new.wav", "completed")
    assert paths(daemon) == ["new.wav"]
    daemon.stop()
    daemon.drop(SENTENCE, "newer.wav")
    daemon.start()
    daemon.wait("newer.wav", "completed")
    daemon.ctl("submit", daemon.inbox / "old/7.wav")
    daemon.wait("old/7.wav", "completed")
    assert paths(daemon) == ["new.wav", "newer.wav", "old/7.wav"]


def test_what_others_have_transcribed_is_left_alone(program: Make) -> None:
    daemon = configured(program, "skip_existing = true")
    for name in ("a.wav", "b.wav"):
        daemon.drop(SENTENCE, name)
    (daemon.out / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    daemon.start()
    daemon.wait("b.wav", "completed")
    wait_for(lambda: daemon.said("'a.wav' is passed over"), "a.wav")
    assert paths(daemon) == ["b.wav"]
    assert daemon.files() == ["a.srt", "b.json", "b.srt", "b.txt", "b.vtt"]


def test_links_are_recordings_where_that_is_wanted(program: Make) -> None:
    daemon = configured(program, 'symlinks = "files"\nlink_targets = ["nas"]')
    for name in ("nas", "private"):
        (daemon.root / name).mkdir()
        (daemon.root / name / "talk.wav").write_bytes(SENTENCE.read_bytes())
        (daemon.inbox / f"{name}.wav").symlink_to(daemon.root / name / "talk.wav")
    daemon.start()
    daemon.wait("nas.wav", "completed")
    daemon.drop(SENTENCE, "last.wav")
    daemon.wait("last.wav", "completed")
    assert paths(daemon) == ["last.wav", "nas.wav"]


def test_a_sidecar_says_how_its_recording_is_done(program: Make) -> None:
    daemon = program(start=False)
    daemon.drop(SENTENCE, "a.wav")
    daemon.drop(b'formats = ["json", "rttm"]\nlanguage = "de"\n', "a.wav.toml")
    daemon.drop(b'profile = "calm"\n', "sub/.scriberr.toml")
    daemon.drop(SENTENCE, "sub/b.wav")
    daemon.start()
    one = daemon.wait("a.wav", "completed")
    assert one["sidecar"] == {"profile": None, "set": {"formats": "json,rttm", "language": "de"}}
    assert daemon.transcript("a.json")["language"] == "de"
    assert daemon.wait("sub/b.wav", "completed")["profile"] == "calm"
    assert [name for name in daemon.files() if name.startswith("a.")] == ["a.json", "a.rttm"]


def test_what_a_sidecar_asks_of_an_engine_in_vain_is_mended_there(program: Make) -> None:
    daemon = program()
    daemon.drop(b'language = "xx"\n', "talk.wav.toml")
    daemon.drop(AUDIO / "sentence.wav", "talk.wav")
    job = daemon.wait("talk.wav", "failed")
    assert job["error"]["code"] == "bad_sidecar"
    assert job["error"]["detail"] == "language: no language 'xx'"
    told = daemon.ctl("explain", daemon.inbox / "talk.wav")["text"]
    assert "can't be used: language: no language 'xx'; mend the file beside" in told
    daemon.drop(b'language = "en"\n', "talk.wav.toml")
    daemon.wait("talk.wav", "completed")
    daemon.ctl("redo", job["id"], "--set", "language=xx")  # this is nothing that the file says
    assert daemon.wait("talk.wav", "failed")["error"]["code"] == "unsupported_setting"
