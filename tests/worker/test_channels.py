"""One speaker a channel: cut on the mix, heard apart, and written in order."""

from __future__ import annotations

import io
import struct
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stereo
from child import AUDIO, TALK, Child, after
from odd_sound import encoded, noise, retimed

from scriberrd.protocol import Probed
from scriberrd.worker.audio import RATE, Recording, Samples
from scriberrd.worker.audio.channels import distinct
from scriberrd.worker.blocks import Block, Span
from scriberrd.worker.channels import split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scriberrd.transcript import BlockResult, Segment

LENGTH, FURTHER = 24.0, 40.0  # seconds of the dialogue; nobody speaks at these times, and at 64


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stereo")
    sound, first = stereo.apart(LENGTH), stereo.mono(LENGTH)
    second = stereo.mono(FURTHER + LENGTH)[-len(first) :]
    made = {
        "apart": sound,
        "bleeding": stereo.bleeding(sound, 0.12),
        "at-once": np.stack([first, second]),
        "alike": np.stack([first, 0.97 * first]),
        "mono": first[None],
    }
    return {name: stereo.write(folder / f"{name}.wav", one) for name, one in made.items()}


def segments(blocks: Sequence[BlockResult]) -> list[Segment]:
    return [segment for block in blocks for segment in block.segments]


def likeness(got: str, truth: str) -> float:
    return SequenceMatcher(None, got.split(), truth.split(), autojunk=False).ratio()


def check_shape(blocks: Sequence[BlockResult]) -> None:
    """Segments by their starts, with the words of each, all in their block."""
    for block in blocks:
        starts = [segment.start for segment in block.segments]
        assert starts == sorted(starts)
        words = iter(block.words)
        for segment in block.segments:
            own = [next(words)]
            while (text := "".join(word.word for word in own).strip()) != segment.text:
                assert segment.text.startswith(text)
                own.append(next(words))
            assert {word.speaker for word in own} == {segment.speaker}
            assert (own[0].start, own[-1].end) == (segment.start, segment.end)
            assert block.start <= segment.start <= segment.end <= block.end
        assert next(words, None) is None


@pytest.mark.parametrize(
    ("name", "settings"),
    [("apart", {}), ("apart", {"context": "carry"}), ("bleeding", {"batch_size": 4})],
    ids=str,
)
def test_each_turn_is_of_its_channel_and_said_once(
    worker: Child, files: dict[str, Path], name: str, settings: dict[str, object]
) -> None:
    blocks, finished = worker.blocks(files[name], channels="split", block_seconds=15.0, **settings)
    check_shape(blocks)
    assert len(blocks) > 1
    assert finished.warnings == ()
    truth = stereo.turns(LENGTH)
    found = segments(blocks)
    assert [segment.speaker for segment in found] == [
        f"channel:{stereo.VOICES.index(turn['voice'])}" for turn in truth
    ]
    for segment, turn in zip(found, truth, strict=True):
        assert segment.start == pytest.approx(turn["start"], abs=0.5)
        assert segment.end == pytest.approx(turn["end"], abs=0.5)
    text = " ".join(turn["text"] for turn in truth)
    assert likeness(" ".join(segment.text for segment in found), text) > 0.95


def test_two_who_talk_at_once_are_both_heard(worker: Child, files: dict[str, Path]) -> None:
    blocks, _ = worker.blocks(files["at-once"], channels="split", block_seconds=15.0)
    check_shape(blocks)
    for channel in (0, 1):
        first = channel * FURTHER
        truth = [turn for turn in stereo.TURNS if first <= turn["start"] < first + LENGTH]
        text = " ".join(
            segment.text for segment in segments(blocks) if segment.speaker == f"channel:{channel}"
        )
        assert likeness(text, " ".join(turn["text"] for turn in truth)) > 0.9


def test_a_run_that_goes_on_says_the_same(worker: Child, files: dict[str, Path]) -> None:
    how = {"channels": "split", "block_seconds": 10.0}
    blocks, finished = worker.blocks(files["bleeding"], **how)
    assert len(blocks) > 2
    rest, again = worker.blocks(files["bleeding"], resume=after(blocks[0]), **how)
    assert (rest, again) == (blocks[1:], finished)


@pytest.mark.parametrize("name", ["alike", "mono"])
def test_channels_that_are_alike_are_one_without_speaker(
    worker: Child, files: dict[str, Path], name: str
) -> None:
    mixed = worker.blocks(files[name], block_seconds=20.0)
    assert worker.blocks(files[name], block_seconds=20.0, channels="split") == mixed
    assert {type(segment.speaker) for segment in segments(mixed[0])} != {str}


def test_without_a_detector(worker: Child) -> None:
    """The fake engine says a word for each second that it is given."""
    how = {"engine": "fake", "model": "ok", "vad": False, "channels": "split"}
    blocks, finished = worker.blocks("stereo.flac", **how)
    seconds = int(finished.duration)
    assert [segment.speaker for segment in segments(blocks)] == ["channel:0", "channel:1"] * seconds


def test_more_channels_than_are_told_apart(worker: Child, tmp_path: Path) -> None:
    file = tmp_path / "many.wav"
    file.write_bytes(many(noise(3.0, channels=16)))
    blocks, finished = worker.blocks(file, engine="fake", model="ok", vad=False, channels="split")
    assert finished.warnings == (
        "16 channels differ: at most 8 are told apart, so their mix was taken, without speakers",
    )
    assert len(segments(blocks)) == 3


@pytest.mark.parametrize(("track", "taken"), [("default", 0), (0, 0), (1, 1), ("speech", 0)])
def test_the_track_that_was_taken_is_told(worker: Child, track: str | int, taken: int) -> None:
    replies = worker.run("tracks.mkv", engine="fake", model="ok", audio_track=track)
    assert [reply.track for reply in replies if isinstance(reply, Probed)] == [taken]


def many(sound: np.typing.NDArray[np.int16], places: int | None = None) -> bytes:
    """A WAV file of so many channels, in these places of a room (bits), or in none."""
    data = sound.T.astype("<i2").tobytes()
    form = struct.pack("<HIIHH", len(sound), RATE, RATE * 2 * len(sound), 2 * len(sound), 16)
    if places is None:
        form = struct.pack("<H", 1) + form
    else:  # WAVE_FORMAT_EXTENSIBLE, of PCM
        pcm = bytes.fromhex("0100000000001000800000aa00389b71")
        form = struct.pack("<H", 0xFFFE) + form + struct.pack("<HHI", 22, 16, places) + pcm
    parts = b"WAVE"
    for name, content in ((b"fmt ", form), (b"data", data)):
        parts += name + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(parts)) + parts


def heard(data: bytes, channel: int | None = None) -> Samples:
    recording = Recording(io.BytesIO(data), channel=channel)
    sound = np.concatenate(list(recording.samples()))
    recording.close()
    return sound


@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000])
def test_a_channel_is_what_it_would_be_alone(rate: int) -> None:
    sound = noise(3.3, rate, channels=2)
    data = encoded(sound, rate=rate)
    assert len(heard(data)) == len(heard(data, 0)) == len(heard(data, 1))
    for channel in (0, 1):
        alone = heard(encoded(sound[channel : channel + 1], rate=rate))
        np.testing.assert_allclose(heard(data, channel), alone, atol=1e-4)


def test_a_hole_is_a_hole_in_every_channel() -> None:
    data = encoded(noise(4.0, channels=2), "matroska", "flac")
    holed = retimed(data, "matroska", lambda at: at if at < 2.0 else at + 3.0)
    mixed = heard(holed)
    assert len(mixed) > 6 * RATE
    for channel in (0, 1):
        sound = heard(holed, channel)
        assert len(sound) == len(mixed)
        assert np.array_equal(sound == 0, mixed == 0)


@pytest.mark.parametrize("count", [3, 8])
def test_many_channels(count: int) -> None:
    data = many(noise(2.5, channels=count))
    recording = Recording(io.BytesIO(data))
    assert recording.apart() == tuple(range(count))
    recording.close()
    assert len(heard(data)) == len(heard(data, count - 1)) == 2.5 * RATE


@pytest.mark.parametrize("count", [3, 8, 9, 16, 25])
def test_channels_without_places_are_all_in_the_mix(count: int) -> None:
    sound = noise(1.5, channels=count)
    np.testing.assert_allclose(heard(many(sound)), sound.mean(axis=0) / 32768, atol=1e-4)


@pytest.mark.parametrize("places", [0x21, 0x30, 0x600, 0x23])  # FL+BR, BL+BR, SL+SR, FL+FR+BR
def test_channels_in_odd_places_are_all_in_the_mix(places: int) -> None:
    sound = noise(1.5, channels=places.bit_count())
    np.testing.assert_allclose(heard(many(sound, places)), sound.mean(axis=0) / 32768, atol=1e-4)


def test_the_channels_are_those_of_the_dialogue() -> None:
    for file, expected in ((AUDIO / "stereo.flac", (0, 1)), (TALK, ())):
        recording = Recording(io.BytesIO(file.read_bytes()))
        assert recording.apart() == expected
        recording.close()


def test_channels_that_differ_anywhere_are_apart() -> None:
    one, other, third = (noise(1.0, seed=seed)[0] / np.float32(32768) for seed in (1, 2, 3))
    assert distinct([]) == (0,)
    assert distinct([np.stack([one, one, other])]) == (0, 2)
    assert distinct([np.stack([one, one]), np.stack([one, other])]) == (0, 1)
    assert distinct([np.stack([one, one + 0.05 * other])]) == (0,)
    assert distinct([np.stack([one, 0.8 * one]), np.stack([third, third])]) == (0, 1)
    assert distinct([np.stack([one * 0, one * 0])]) == (0,)
    assert distinct([np.stack([one, one * 0])]) == (0, 1)


def test_a_channel_that_was_silent_in_all_looks_is_not_taken_for_another() -> None:
    one, other = (noise(1.0, seed=seed)[0] / np.float32(32768) for seed in (1, 2))
    silent = one * 0
    assert distinct([np.stack([one, silent, silent])]) == (0, 1, 2)
    assert distinct([np.stack([silent, silent, one])]) == (0, 1, 2)
    assert distinct([np.stack([one, silent, one, silent])]) == (0, 1, 3)
    looks = [np.stack([one, silent, silent]), np.stack([silent, other, other])]
    assert distinct(looks) == (0, 1)
    assert distinct([*looks, np.stack([one, one, silent])]) == (0, 1, 2)


def test_a_channel_that_ends_early_is_silent_to_the_end() -> None:
    class Short:
        def read(self, count: int) -> Samples:
            return np.ones(count - 3, np.float32)

    block = Block(RATE, np.ones(RATE, np.float32), (Span(0, RATE),))
    (made,) = split(iter([block]), {1: Short()}, None)  # type: ignore[dict-item]
    (part,) = made.parts
    assert (part.start, len(part.samples), part.channel) == (RATE, RATE, 1)
    assert list(part.samples[-4:]) == [1, 0, 0, 0]
