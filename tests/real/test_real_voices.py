"""Real models on real voices, through the real worker: `make test-real`.

Exact texts are compared only between runs on one machine: they depend on its instructions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import voices
from child import after, task, text_of
from fetch import VOICES
from rapidfuzz.distance import Levenshtein

from scriberrd.protocol import BlockDone, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from child import Child

    from scriberrd.transcript import BlockResult

pytestmark = pytest.mark.real
READING = ("two_cities.wav", 1.0, "town.flac", 0.7, "main.flac", 2.0, "beckett.wav")


def kept(blocks: list[BlockResult]) -> list[str]:
    """The checkpoints, as they are kept."""
    return [msgspec.json.encode(block).decode() for block in blocks]


def test_what_is_read_is_written(worker: Child, model: str, tmp_path: Path) -> None:
    path, said = voices.recording(tmp_path, READING)
    blocks, _ = worker.blocks(path, model=model, language="en")
    assert Levenshtein.distance(said, voices.words(text_of(blocks))) <= 0.06 * len(said)


def test_short_blocks_lose_and_repeat_nothing(worker: Child, model: str, tmp_path: Path) -> None:
    path, said = voices.recording(tmp_path, READING)
    blocks, _ = worker.blocks(path, model=model, language="en", block_seconds=15)
    assert len(blocks) >= 4
    assert Levenshtein.distance(said, voices.words(text_of(blocks))) <= 0.06 * len(said)


def test_who_speaks_on_the_telephone_is_heard_when_they_speak(worker: Child, model: str) -> None:
    blocks, _ = worker.blocks(VOICES / "sample.wav", model=model, language="en")
    heard = [(word.start, word.end) for block in blocks for word in block.words]
    turns = voices.turns()
    assert len(heard) >= 50
    inside = [any(a < end + 0.5 and b > start - 0.5 for start, end in turns) for a, b in heard]
    assert sum(inside) >= 0.95 * len(heard)
    assert max(end for _, end in heard) > 27


def test_an_interrupted_run_equals_an_uninterrupted_one(
    spawn: Callable[[], Child], model: str, tmp_path: Path
) -> None:
    path, _ = voices.recording(tmp_path, READING)
    settings = {"model": model, "block_seconds": 15}
    whole, finished = spawn().blocks(path, **settings)
    stopped, killed = spawn(), spawn()
    for number, worker in enumerate((stopped, killed)):
        worker.send(path, task(**settings))
        blocks = []
        for reply in worker.rest():
            if isinstance(reply, BlockDone):
                blocks.append(reply.block)
                if worker is killed:
                    worker.process.kill()
                    break
                worker.stop(after_block=True)
            assert not isinstance(reply, Stopped) or blocks
        assert len(blocks) < len(whole)
        rest, end = spawn().blocks(path, after(blocks[-1]), **settings)
        assert (number, kept(whole)) == (number, kept(blocks + rest))
        assert finished.duration == end.duration


def test_the_text_does_not_depend_on_the_threads(
    spawn: Callable[[], Child], model: str, tmp_path: Path
) -> None:
    path, _ = voices.recording(tmp_path, READING)
    one, _ = spawn().blocks(path, model=model, language="en", hardware={"threads": 1})
    two, _ = spawn().blocks(path, model=model, language="en", hardware={"threads": 2})
    assert kept(one) == kept(two)


def test_the_language_is_recognised(worker: Child, tmp_path: Path) -> None:
    path, _ = voices.recording(tmp_path, [3.0, *READING])
    blocks, _ = worker.blocks(path, model="base", block_seconds=20)
    assert {block.language for block in blocks} == {"en"}
    assert all((block.language_probability or 0) > 0.9 for block in blocks)


def test_silence_gives_nothing(worker: Child, model: str, tmp_path: Path) -> None:
    path, _ = voices.recording(tmp_path, [60.0])
    blocks, _ = worker.blocks(path, model=model)
    assert text_of(blocks) == ""


def test_five_minutes_of_silence_lose_and_invent_no_word(
    worker: Child, model: str, tmp_path: Path
) -> None:
    path, said = voices.recording(tmp_path, ["main.flac", 300.0, "beckett.wav"])
    blocks, _ = worker.blocks(path, model=model, language="en")
    found = voices.words(text_of(blocks))
    assert len(found) == len(said)
    # A word may be heard wrongly ("never tried" for "ever tried"), but none is lost or invented.
    assert sum(a != b for a, b in zip(found, said, strict=True)) <= 2
