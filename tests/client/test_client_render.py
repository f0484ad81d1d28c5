from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriberrctl import __version__, render, shapes
from scriberrd import __version__ as daemon_version


@given(st.text())
def test_nothing_printed_can_steer_a_terminal(text: str) -> None:
    shown = render.plain(text)
    assert all(char.isprintable() or char in render.SPACES_AND_JOINERS for char in shown)
    shown.encode()  # lone surrogates can't be printed either


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße 日本 🎤.mp3", "Grüße 日本 🎤.mp3"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("a\nb\r\x07", "a\\nb\\r\\x07"),
        ("\u202egpj.mp3", "\\u202egpj.mp3"),  # turns the rest around
        ("a\u202fb", "a\u202fb"),
    ],
)
def test_names_stay_what_they_are(text: str, shown: str) -> None:
    assert render.plain(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "?"), (0, "0:00"), (59.6, "1:00"), (3723, "1:02:03")]
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert render.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0s"), (36.4, "36s"), (59.6, "1m 00s"), (750.0, "12m 30s"), (432300.0, "120h 05m")],
)
def test_statistics_tell_short_recordings_too(seconds: float, shown: str) -> None:
    one = shapes.Ended(key="main", completed=1, failed=0, canceled=0, hits=0, audio_seconds=seconds)
    stats = shapes.Stats(
        since="2026-11-26T12:00:00Z", by="inbox", total=one, groups=[one], speeds=[], failures=[]
    )
    assert render.stats(stats).count(f"  {shown} ") == 2


def test_an_event_says_who_asked_for_it() -> None:
    by = {"uid": 1000, "name": "anna\x1b"}
    event = shapes.Event(id=7, cursor="a-7", at="2026-11-26T12:00:00.000Z", job=1, type="", data={})
    paused = {"inbox": None, "worker": None, "reason": "", "by": by}
    for job, type_, data in ((1, "canceled", {"by": by}), (None, "paused", paused)):
        shown = render.event({**event, "job": job, "type": type_, "data": data})
        assert shown.endswith(f"{type_}  by=anna\\x1b")


def test_a_table_is_as_wide_as_its_widest_cells() -> None:
    rows = [["1", "queued", "a\x1b"], ["10", "x", "b"]]
    lines = render.table(["ID", "STATE", "PATH"], rows).splitlines()
    assert lines == ["ID  STATE   PATH", "1   queued  a\\x1b", "10  x       b"]


def test_client_and_daemon_have_one_version() -> None:
    assert __version__ == daemon_version


def test_speakers_are_shown_with_their_names_and_channels() -> None:
    people = [
        {"label": "SPEAKER_00", "name": None, "channel": 2},
        {"label": "SPEAKER_01", "name": "Ada", "channel": 1},
        {"label": "SPEAKER_02", "name": None, "channel": None},
    ]
    job: typing.Any = {"id": 1, "name": "a", "state": "completed", "speakers": people}
    job |= {"cancel_requested": False, "error": None}
    told = "SPEAKER_00 (channel 2), SPEAKER_01 (Ada, channel 1), SPEAKER_02"
    assert render.speakers(job) == f"job 1 completed: a; speakers: {told}"


def test_the_bar_shows_how_far_the_speakers_are_told_apart() -> None:
    progress = {"fraction": 1.0, "diarized": 0.5, "seconds": 60, "duration": 60}
    progress |= {"eta_seconds": None, "real_time_factor": None, "kept": 0.0}
    job: typing.Any = {"id": 1, "name": "a", "stage": "diarizing", "progress": progress}
    assert render.bar(job) == "job 1  [##########----------] 50 %  diarizing  a"
    progress["diarized"] = None
    assert "100 %  diarizing  1:00 of 1:00  a" in render.bar(job)
    job["name"] = "会議.wav"
    assert render.bar(job).endswith("  1:00 of 1:00  会議.wav")  # where nothing has a width
