"""What is set over a profile is checked as a profile is."""

from __future__ import annotations

import pytest

from scriberrd.errors import InvalidRequest
from scriberrd.overrides import apply, read
from scriberrd.settings import Settings


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("language=de", "language", "de"),
        ("languages=de, en", "languages", ("de", "en")),
        ("task=translate", "task", "translate"),
        ("prompt=Names: Ada = Lovelace", "initial_prompt", "Names: Ada = Lovelace"),
        ("hotwords=null", "hotwords", "null"),
        ("diarize=required", "diarize", "required"),
        ("speakers=3", "speakers", 3),
        ("min_speakers=2", "min_speakers", 2),
        ("max_speakers=4", "max_speakers", 4),
        ("formats=json,rttm", "formats", ("json", "rttm")),
        ("priority=urgent", "priority", "urgent"),
    ],
)
def test_a_value_is_set(text: str, key: str, value: object) -> None:
    assert getattr(apply(Settings(), read([text])), key) == value


@pytest.mark.parametrize("key", ["speakers", "languages", "prompt", "formats", "priority"])
def test_without_a_value_it_is_the_profiles(key: str) -> None:
    profile = Settings(speakers=2, languages=("de",), initial_prompt="Ada", priority="low")
    assert apply(profile, read([f"{key}=3", f"{key}="])) == profile


def test_the_last_value_of_a_key_counts() -> None:
    given = read(["speakers=2", "prompt=a", "speakers=3", "initial_prompt=b"])
    assert given == {"speakers": "3", "initial_prompt": "b"}


@pytest.mark.parametrize(
    "key",
    ["model", "fallback_model", "engine", "diarizer", "diarization_model", "channels", "beam_size"],
)
def test_what_a_profile_alone_sets(key: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^set: {key}: only a profile sets it: name one"):
        read([f"{key}=x"])


def test_what_no_profile_knows() -> None:
    with pytest.raises(InvalidRequest, match=r"^set: 'language' is not KEY=VALUE$"):
        read(["language"])
    known = "language, languages, task, prompt, hotwords, diarize, speakers, min_speakers,"
    known += " max_speakers, formats, priority"
    with pytest.raises(InvalidRequest) as caught:
        read(["speaker=2"])
    assert str(caught.value) == f"set: speaker: unknown key; to set are: {known}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("task=sing", """task: 'sing' is not one of "transcribe", "translate\""""),
        ("speakers=two", "speakers: 'two' is not a whole number from 0 to 100"),
        ("speakers=101", "speakers: '101' is not a whole number from 0 to 100"),
        (
            "formats=json,doc",
            """formats: 'doc' is not one of "json", "rttm", "srt", "txt", "vtt\"""",
        ),
        ("diarize=yes", """diarize: 'yes' is not one of "auto", "off", "required\""""),
    ],
)
def test_a_value_that_is_not_allowed(text: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        apply(Settings(), read([text]))
    assert str(caught.value).startswith(complaint)


def test_values_that_can_not_stand_beside_each_other() -> None:
    with pytest.raises(InvalidRequest, match=r"^diarize: channels"):
        apply(Settings(channels="split"), {"diarize": "auto"})
    with pytest.raises(InvalidRequest, match=r"^min_speakers: 3 is more than max_speakers, 2"):
        apply(Settings(max_speakers=2), {"min_speakers": "3"})
