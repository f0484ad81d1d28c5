from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from child import AUDIO
from faster_whisper.audio import decode_audio
from faster_whisper.utils import get_assets_path
from faster_whisper.vad import SileroVADModel, get_speech_timestamps, get_vad_model
from hypothesis import given, settings
from hypothesis import strategies as st

from scriberrd.worker.audio import RATE, Samples, Source
from scriberrd.worker.blocks import (
    MARGIN,
    VAD_SLICE,
    Block,
    Span,
    blocks,
    clips,
    cut,
    find_speech,
    prefetch,
)

STEP = 800  # samples: the made-up recordings change between sound and silence at its multiples


def recording(pattern: list[tuple[int, int]]) -> Samples:
    """Alternating silence and noise; lengths in steps."""
    noise = np.random.default_rng(7)
    parts: list[Samples] = []
    for quiet, loud in pattern:
        parts.append(np.zeros(quiet * STEP, np.float32))
        parts.append(noise.uniform(0.1, 1.0, loud * STEP).astype(np.float32))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def find_noise(samples: Samples) -> list[Span]:
    """A detector that depends on nothing but its input."""
    loud = np.flatnonzero(samples)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > 1)
    starts = [int(loud[0]), *(int(loud[i + 1]) for i in breaks)]
    ends = [*(int(loud[i]) + 1 for i in breaks), int(loud[-1]) + 1]
    return [Span(a, b) for a, b in zip(starts, ends, strict=True)]


def all_of(samples: Samples, limit: int, skip: int = 0, *, vad: bool = True) -> list[Block]:
    pieces = (samples[i : i + 3000] for i in range(0, len(samples), 3000))
    source = Source(pieces)
    source.skip(skip)
    return list(blocks(source, limit, vad=vad, find=find_noise))


patterns = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 120)), max_size=12).map(recording)
limits = st.integers(4 * RATE, 12 * RATE)


@settings(max_examples=60)
@given(patterns, limits, st.booleans())
def test_stretches_tile_the_recording(samples: Samples, limit: int, vad: bool) -> None:
    found = all_of(samples, limit, vad=vad)
    joined = np.concatenate([s.samples for s in found]) if found else samples[:0]
    assert np.array_equal(joined, samples)
    assert [s.start for s in found] == [0, *(s.end for s in found)][:-1] if found else True
    assert all(0 < len(s.samples) <= limit for s in found)
    assert all(len(s.samples) >= limit // 2 for s in found[:-1])
    for s in found:
        assert all(0 <= a < b <= len(s.samples) for a, b in (*s.voiced, *s.spans))
        assert all(x.end <= y.start for x, y in pairwise(s.spans))
        covered = [any(a <= v.start and v.end <= b for a, b in s.spans) for v in s.voiced]
        assert all(covered)


@settings(max_examples=60)
@given(patterns, limits)
def test_cut_falls_into_the_longest_silence(samples: Samples, limit: int) -> None:
    for block in all_of(samples, limit)[:-1]:
        window = samples[block.start : block.start + limit]
        region = window[limit // 2 : limit - MARGIN]
        quiet = [len(run) for run in "".join("x" if v else "." for v in region[::STEP]).split("x")]
        if max(quiet) >= 4:  # 200 ms: at least 100 of them surely within
            at = len(block.samples)
            assert not window[at - 1]
            assert not window[at]


@settings(max_examples=60)
@given(patterns, limits)
def test_any_boundary_is_a_place_to_start_again(samples: Samples, limit: int) -> None:
    whole = all_of(samples, limit)
    for number, block in enumerate(whole):
        again = all_of(samples, limit, skip=block.start)
        assert [(s.start, s.end, s.voiced, s.spans) for s in again] == [
            (s.start, s.end, s.voiced, s.spans) for s in whole[number:]
        ]


@settings(max_examples=60)
@given(patterns, st.integers(RATE, 30 * RATE), st.booleans())
def test_clips_cover_what_is_to_be_heard(samples: Samples, longest: int, vad: bool) -> None:
    for block in all_of(samples, 12 * RATE, vad=vad):
        found = clips(block, longest)
        assert all(0 < b - a <= longest for a, b in found)
        assert all(x.end <= y.start for x, y in pairwise(found))
        heard = np.zeros(len(block.samples), bool)
        for a, b in found:
            heard[a:b] = True
        assert all(heard[a:b].all() for a, b in block.spans)


def test_cut_without_silence_takes_the_quietest_moment() -> None:
    samples = np.full(20 * RATE, 0.5, np.float32)
    samples[15 * RATE : 15 * RATE + 1600] = 0.1
    assert cut(samples, [Span(0, len(samples))]) == 15 * RATE + 800


def test_of_equal_silences_the_later_one_is_cut() -> None:
    voiced = [Span(0, 12 * RATE), Span(13 * RATE, 14 * RATE), Span(15 * RATE, 20 * RATE)]
    assert cut(np.zeros(20 * RATE, np.float32), voiced) == 14 * RATE + RATE // 2


@pytest.mark.parametrize("name", ["dialogue.opus", "speech.mp3", "sentence.wav", "stereo.flac"])
def test_spans_are_those_of_faster_whispers_filter(name: str) -> None:
    samples = decode_audio(str(AUDIO / name))
    (block,) = blocks(Source(iter([samples])), len(samples))
    assert [{"start": a, "end": b} for a, b in block.spans] == get_speech_timestamps(samples)


def test_the_detector_says_the_same_of_slices_as_of_the_whole() -> None:
    samples = decode_audio(str(AUDIO / "dialogue.opus"))
    windows = samples[: len(samples) // 512 * 512]
    find_speech(samples)
    whole = SileroVADModel(f"{get_assets_path()}/silero_vad_v6.onnx")(windows)
    assert len(whole) > 4 * VAD_SLICE
    assert np.array_equal(get_vad_model()(windows), whole)


def test_silence_and_noise_are_no_speech() -> None:
    for name in ("silence.wav", "noise.wav"):
        assert find_speech(decode_audio(str(AUDIO / name))) == []


def test_prefetch_is_one_ahead_and_passes_errors_on() -> None:
    def failing() -> list[int]:
        raise ValueError("in the thread")

    def items() -> object:
        yield 1
        yield 2
        yield failing()

    got = prefetch(items())  # type: ignore[type-var,arg-type]
    assert [next(got), next(got)] == [1, 2]
    with pytest.raises(ValueError, match="in the thread"):
        next(got)
