"""The words of a recording and the turns of its speakers become its transcript."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from api_server import ENGINE
from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.errors import TaskFailed
from scriberrd.library.gathering import gather
from scriberrd.model import Identity, Job, Shown, Source
from scriberrd.protocol import Probed
from scriberrd.queue import jobs
from scriberrd.queue.store import connect
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings
from scriberrd.transcript import BlockResult, Diarization, Segment, Speaker, Turn, Word, encode

if TYPE_CHECKING:
    from pathlib import Path

PROBE = Probed(job=1, lease=1, container="wav", codec="pcm", channels=2, duration=4.0)
DONE = jobs.Done(duration=4.0, warnings=("hiss",), seconds=2.0)
WORK = jobs.Work(PROBE, ENGINE, DONE, None)
TURNS = (
    Turn(start=0.0, end=1.0, speaker="SPEAKER_00"),
    Turn(start=1.0, end=2.0, speaker="SPEAKER_01"),
)
VOICES = Diarization(
    model="pyannote/community-1",
    device="cpu",
    turns=TURNS,
    exclusive=TURNS,
    embeddings={"SPEAKER_00": (0.5, 0.5)},
    fallbacks=("batch_size 32 -> 16",),
    warnings=("2 speakers were found",),
    seconds=3.0,
)
WORDS = (
    Word(start=0.1, end=0.9, word=" Hello."),
    Word(start=1.1, end=1.9, word=" Hello!"),
    Word(start=3.9, end=4.0, word=" Ah."),
)
BLOCK = BlockResult(
    number=0,
    start=0.0,
    end=4.0,
    speech=2.0,
    language="en",
    language_probability=1.0,
    segments=(
        Segment(start=0.1, end=1.9, text=" Hello. Hello!"),
        Segment(start=3.9, end=4.0, text=" Ah."),
    ),
    words=WORDS,
)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    source = Source("main", b"talk.wav", Identity(1, 2, 3, 4, 5), "0" * 64)
    with closing(connect(tmp_path / "queue.db")) as db, transaction(db):
        return jobs.submit(db, source, profile="default", settings=Settings(), now=1.0)[0]


def known(job: Job, shown: Shown, **names: str) -> Job:
    return replace(job, shown=shown, names={(shown.turns, label): names[label] for label in names})


def test_speakers_are_in_the_transcript(job: Job) -> None:
    text, shown = gather(WORK, [BLOCK], job, diarization=VOICES, warnings=("late",))
    said = [(one.id, one.speaker, one.text) for one in text.segments]
    assert said == [
        ("seg_000001", "SPEAKER_00", "Hello."),
        ("seg_000002", "SPEAKER_01", "Hello!"),
        ("seg_000003", UNSET, " Ah."),
    ]
    assert [word.speaker for word in text.words] == ["SPEAKER_00", "SPEAKER_01", UNSET]
    assert text.turns == TURNS
    assert text.speakers is UNSET
    assert text.warnings == (
        "hiss",
        "2 speakers were found",
        "1 word in 1 place is of no known speaker",
        "late",
    )
    assert text.engine.diarization_model == "pyannote/community-1"
    assert text.engine.fallbacks == (*ENGINE.fallbacks, "batch_size 32 -> 16")
    assert text.stats.processing_seconds == 5.0
    assert shown is not None
    assert shown.labels == ("SPEAKER_00", "SPEAKER_01")
    json = b"".join(encode(text)).decode()
    assert '  "turns": [\n    {"start":0.0,"end":1.0,"speaker":"SPEAKER_00"},\n' in json


def test_names_are_of_the_turns_that_they_were_given_for(job: Job) -> None:
    def speakers(voices: Diarization, job: Job) -> Any:
        return gather(WORK, [BLOCK], job, diarization=voices)[0].speakers

    _, shown = gather(WORK, [BLOCK], job, diarization=VOICES)
    assert shown is not None
    named = known(job, shown, SPEAKER_01="Ada")
    assert speakers(VOICES, named) == (Speaker(label="SPEAKER_01", name="Ada"),)
    rounded = replace(VOICES, turns=(replace(TURNS[0], end=1.004), TURNS[1]))
    assert speakers(rounded, named) == (Speaker(label="SPEAKER_01", name="Ada"),)
    others = replace(VOICES, turns=(replace(TURNS[0], end=1.3), TURNS[1]))
    assert speakers(others, named) is UNSET


def test_channels_are_speakers_without_turns(job: Job) -> None:
    split = replace(job, settings=Settings(channels="split"))
    block = replace(
        BLOCK,
        segments=tuple(replace(one, speaker="channel:1") for one in BLOCK.segments),
        words=tuple(replace(one, speaker="channel:1") for one in BLOCK.words),
    )
    named = known(split, Shown("channel:1", ()), SPEAKER_00="Ada")
    text, shown = gather(WORK, [block], named)
    assert shown == Shown("channel:1", ("SPEAKER_00",))
    assert {one.speaker for one in (*text.segments, *text.words)} == {"SPEAKER_00"}
    assert text.turns is UNSET
    assert text.speakers == (Speaker(label="SPEAKER_00", name="Ada", channel=2),)
    # Where another channel is heard first, the label is somebody else.
    other = known(split, Shown("channel:0 channel:1", ()), SPEAKER_00="Ada")
    (speaker,) = gather(WORK, [block], other)[0].speakers or ()
    assert speaker == Speaker(label="SPEAKER_00", channel=2)


def test_without_diarization_nothing_is_said_of_speakers(job: Job) -> None:
    text, shown = gather(WORK, [BLOCK], job)
    assert shown is None
    json = b"".join(encode(text)).decode()
    assert "speaker" not in json
    assert '"turns"' not in json
    assert text.warnings == ("hiss",)


def test_what_is_not_done_is_no_transcript(job: Job) -> None:
    with pytest.raises(TaskFailed):
        gather(WORK._replace(finished=None), [], job)
