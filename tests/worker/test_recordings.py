"""What the whole worker makes of recordings."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import pytest
from child import AUDIO, Child, after, beginning, text_of

from scriberrd.protocol import Finished, Resume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.transcript import BlockResult

EVERY = sorted(p.name for p in AUDIO.iterdir() if p.suffix not in (".json", ".md"))
LONG, HALF, THIRD = 120.4, 64.2, 39.8  # seconds of dialogue.opus: nobody speaks there
SPOKEN = [name for name in EVERY if name not in ("silence.wav", "noise.wav", "dialogue.opus")]


@pytest.fixture(scope="module")
def another() -> Iterator[Child]:
    """A worker that has not heard what the first one has."""
    child = Child()
    yield child
    child.close()


def likeness(got: str, truth: str) -> float:
    """The share of words that agree, 0 to 1."""
    words = [[w.strip(".,?!'").lower() for w in text.split()] for text in (got, truth)]
    return SequenceMatcher(None, *words, autojunk=False).ratio()


def check_shape(blocks: list[BlockResult], finished: Finished) -> None:
    """What holds for every result: numbered blocks without gaps, times in order within them."""
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert [block.start for block in blocks] == [0.0, *(block.end for block in blocks)][:-1]
    assert blocks[-1].end == finished.duration
    for block in blocks:
        for part in (*block.segments, *block.words):
            assert block.start <= part.start <= part.end <= block.end
            assert part.start == round(part.start, 3)
        starts = [word.start for word in block.words]
        assert starts == sorted(starts)
        words = "".join(word.word for word in block.words).split()
        assert words == " ".join(segment.text for segment in block.segments).split()
        assert all(word.word.strip() for word in block.words)


@pytest.mark.parametrize("name", SPOKEN)
def test_every_container(worker: Child, expected: dict[str, Any], name: str) -> None:
    truth = expected[name]
    turns = [turn for turn in truth["turns"] if turn.get("track", 0) == 0]
    blocks, finished = worker.blocks(name)
    check_shape(blocks, finished)
    assert text_of(blocks) == truth["text"]
    assert blocks[0].language == "en"
    segments = [segment for block in blocks for segment in block.segments]
    for segment, turn in zip(segments, turns, strict=True):
        assert segment.start == pytest.approx(turn["start"], abs=0.5)
        assert segment.end == pytest.approx(turn["end"], abs=0.4)


@pytest.mark.parametrize(
    ("seconds", "settings"),
    [
        (LONG, {}),
        (THIRD, {"vad": False}),
        (THIRD, {"block_seconds": 20.0}),
        (THIRD, {"block_seconds": 10.0}),
        (HALF, {"context": "carry"}),
        (HALF, {"block_seconds": 40.0, "vad": False}),
        (THIRD, {"batch_size": 4}),
        (HALF, {"batch_size": 2, "vad": False, "block_seconds": 50.0}),
        (THIRD, {"initial_prompt": "A talk.", "hotwords": "umbrella"}),
    ],
    ids=str,
)
def test_a_longer_talk(
    worker: Child,
    expected: dict[str, Any],
    seconds: float,
    settings: dict[str, Any],
    tmp_path: Path,
) -> None:
    truth = expected["dialogue.opus"]
    talk = AUDIO / "dialogue.opus"
    if seconds < LONG:
        talk = beginning("dialogue.opus", seconds, tmp_path)
    turns = [turn for turn in truth["turns"] if turn["end"] < seconds]
    blocks, finished = worker.blocks(talk, **settings)
    check_shape(blocks, finished)
    assert likeness(text_of(blocks), " ".join(turn["text"] for turn in turns)) > 0.9
    limit = settings.get("block_seconds", 300.0)
    assert all(block.end - block.start <= limit for block in blocks)
    words = [word for block in blocks for word in block.words]
    for turn in turns:  # each sentence has words near where it begins and ends
        assert any(abs(word.start - turn["start"]) < 0.5 for word in words), turn
        assert any(abs(word.end - turn["end"]) < 0.5 for word in words), turn


@pytest.mark.parametrize("track", [0, 1])
def test_tracks(worker: Child, expected: dict[str, Any], track: int) -> None:
    truth = expected["tracks.mkv"]
    turns = [turn for turn in truth["turns"] if turn["track"] == track]
    blocks, _ = worker.blocks("tracks.mkv", audio_track=track)
    assert text_of(blocks) == truth["tracks"][track]["text"]
    for segment, turn in zip(blocks[0].segments, turns, strict=True):
        assert segment.start == pytest.approx(turn["start"], abs=0.5)
        assert segment.end == pytest.approx(turn["end"], abs=0.4)


@pytest.mark.parametrize("name", ["silence.wav", "noise.wav"])
def test_silence_is_a_result(worker: Child, name: str) -> None:
    blocks, finished = worker.blocks(name, initial_prompt="Once upon a time")
    (block,) = blocks
    assert (block.segments, block.words, block.speech, block.language) == ((), (), 0.0, None)
    assert finished.duration == 3.0


@pytest.mark.parametrize(
    ("name", "seconds", "settings"),
    [
        ("stereo.flac", 8.5, {"block_seconds": 5.0}),
        ("dialogue.opus", 56, {"block_seconds": 30.0}),
        ("dialogue.opus", 56, {"block_seconds": 30.0, "batch_size": 3}),
        ("dialogue.opus", 56, {"block_seconds": 30.0, "vad": False, "hotwords": "train"}),
        ("dialogue.opus", 56, {"block_seconds": 30.0, "context": "carry"}),
    ],
    ids=str,
)
def test_resume_equals_no_interruption(
    worker: Child,
    another: Child,
    name: str,
    seconds: float,
    settings: dict[str, Any],
    tmp_path: Path,
) -> None:
    talk = beginning(name, seconds, tmp_path)
    whole, finished = worker.blocks(talk, **settings)
    assert len(whole) >= 3
    children = [another, worker]
    for number in range(1, len(whole)):
        child = children[number % 2]
        rest, again = child.blocks(talk, after(whole[number - 1]), **settings)
        assert rest == whole[number:]
        assert again == finished
    nothing, again = worker.blocks(talk, after(whole[-1]), **settings)
    assert (nothing, again) == ([], finished)


def test_a_resumed_task_keeps_its_language(worker: Child) -> None:
    resume = Resume(block=4, position=0.0, language="en", language_probability=0.7)
    blocks, _ = worker.blocks("sentence.wav", resume)
    assert (blocks[0].number, blocks[0].language_probability) == (4, 0.7)


def test_a_truncated_recording_is_transcribed_and_told(worker: Child, tmp_path: Path) -> None:
    half = tmp_path / "half.mp3"
    half.write_bytes((AUDIO / "speech.mp3").read_bytes()[:30000])
    blocks, finished = worker.blocks(half)
    assert text_of(blocks).startswith("Martin will arrive on Thursday in the evening.")
    assert finished.warnings == ("the recording ends at 5.0 s of 9.7 s: it may be truncated",)
