"""Whose words they are: real transcription and real diarization, merged, beside the truth."""

from __future__ import annotations

import json
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from child import AUDIO, Child
from conftest import DIALOGUE, SAMPLES, diarized, order

from scriberrd.transcript import BlockResult, Segment, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.real
merging = pytest.importorskip("scriberrd.merging")

ENOUGH = 0.98


def right(words: Iterable[Word], turns: Iterable[dict[str, Any]]) -> float:
    """The part of the words that are given to whoever says them, by the best naming of speakers."""
    truth = list(turns)
    pairs = [(speaker, word.speaker) for word in words for speaker in _saying(word, truth)]
    people = sorted({who for who, _ in pairs})
    labels = sorted({str(label) for _, label in pairs})
    labels += [""] * (len(people) - len(labels))
    return max(
        sum(dict(zip(people, named, strict=True))[who] == label for who, label in pairs)
        for named in permutations(labels, len(people))
    ) / len(pairs)


def _saying(word: Word, turns: list[dict[str, Any]]) -> Iterator[str]:
    """Who says the word; nobody, if it lies between two turns or in both."""
    middle = (word.start + word.end) / 2
    who = {
        turn.get("voice") or turn["speaker"]
        for turn in turns
        if turn["start"] <= middle <= turn["end"]
    }
    if len(who) == 1:
        yield from who


def test_the_words_of_a_real_transcript(worker: Child) -> None:
    transcriber = Child()
    blocks, _ = transcriber.blocks(DIALOGUE.name, language="en")
    transcriber.close()
    found = merging.merged(blocks, diarized(worker, DIALOGUE, order())).blocks
    truth = json.loads((AUDIO / "expected.json").read_text())[DIALOGUE.name]["turns"]
    assert right((word for block in found for word in block.words), truth) >= ENOUGH


@pytest.mark.parametrize("name", ["two.wav", "three.wav", "overlap.wav"])
def test_the_words_as_they_were_spoken(worker: Child, name: str) -> None:
    truth = json.loads((SAMPLES / "expected.json").read_text())[name]
    words: list[Word] = []
    for turn in truth["turns"]:
        texts = turn["text"].split()
        step = (turn["end"] - turn["start"]) / len(texts)
        starts = [turn["start"] + step * number for number in range(len(texts))]
        words += [
            Word(start=at, end=at + step, word=f" {text}", probability=1.0)
            for at, text in zip(starts, texts, strict=True)
        ]
    words.sort(key=lambda word: word.start)
    text = "".join(word.word for word in words)
    segment = Segment(start=words[0].start, end=words[-1].end, text=text.strip())
    block = BlockResult(
        number=0,
        start=0.0,
        end=truth["duration"],
        speech=truth["duration"],
        language="en",
        language_probability=1.0,
        segments=(segment,),
        words=tuple(words),
    )
    found = merging.merged([block], diarized(worker, SAMPLES / name, order())).blocks
    assert right((word for block in found for word in block.words), truth["turns"]) >= ENOUGH
