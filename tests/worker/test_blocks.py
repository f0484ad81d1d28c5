from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from child import AUDIO
from faster_whisper.audio import decode_audio
from faster_whisper.utils import get_assets_path
from faster_whisper.vad import SileroVADModel, get_vad_model
from hypothesis import given, settings
from hypothesis import strategies as st

from scriberrd.worker.audio import RATE, Samples, Source
from scriberrd.worker.blocks import (
    MARGIN,
    VAD_SLICE,
    Block,
    Span,
    blocks,
    cut,
    find_speech,
)
from scriberrd.worker.clips import pack

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
        assert (s.voiced is not None) == vad
        assert all(0 <= a < b <= len(s.samples) for a, b in s.voiced or ())


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
        assert [(s.start, s.end, s.voiced) for s in again] == [
            (s.start, s.end, s.voiced) for s in whole[number:]
        ]


@settings(max_examples=60)
@given(patterns, st.booleans())
def test_clips_cover_what_is_to_be_heard(samples: Samples, vad: bool) -> None:
    for block in all_of(samples, 60 * RATE, vad=vad):
        spans = [clip.span for clip in pack(block)]
        assert all(0 < b - a <= 30 * RATE for a, b in spans)
        assert all(x.end <= y.start for x, y in pairwise(spans))
        heard = np.zeros(len(block.samples), bool)
        for a, b in spans:
            heard[a:b] = True
        voiced = (Span(0, len(block.samples)),) if block.voiced is None else block.voiced
        assert all(heard[a:b].all() for a, b in voiced)


def test_clips_end_in_long_pauses_rather_than_in_short_ones() -> None:
    samples = np.zeros(50 * RATE, np.float32)
    voiced = [Span(RATE, 20 * RATE), Span(22 * RATE, 28 * RATE), Span(int(28.2 * RATE), 45 * RATE)]
    first, second = pack(Block(0, samples, tuple(voiced)))
    assert first.span.end < 21 * RATE < second.span.start


def test_a_clip_knows_the_speech_in_it() -> None:
    block = Block(5 * RATE, np.zeros(10 * RATE, np.float32), (Span(RATE, 2 * RATE),))
    (clip,) = pack(block)
    assert clip.start == pytest.approx(5.6)
    assert clip.voiced == (pytest.approx((0.4, 1.4)),)


def test_cut_without_silence_takes_the_quietest_moment() -> None:
    samples = np.full(20 * RATE, 0.5, np.float32)
    samples[15 * RATE : 15 * RATE + 1600] = 0.1
    assert cut(samples, [Span(0, len(samples))]) == 15 * RATE + 800


def test_no_cut_falls_where_the_detector_was_deaf() -> None:
    samples = np.full(20 * RATE, 0.1, np.float32)
    samples[17 * RATE : 18 * RATE] = 0.0
    voiced = [Span(0, 11 * RATE), Span(15 * RATE, 17 * RATE), Span(18 * RATE, 20 * RATE)]
    assert 17 * RATE < cut(samples, voiced) < 18 * RATE  # 11 to 15 s is as loud as speech


def test_cuts_keep_away_from_the_speech_around() -> None:
    samples = np.zeros(20 * RATE, np.float32)
    voiced = [Span(0, 12 * RATE), Span(14 * RATE, 20 * RATE)]
    assert cut(samples, voiced) == pytest.approx(13 * RATE, abs=RATE // 10)


def test_of_equal_silences_the_later_one_is_cut() -> None:
    voiced = [Span(0, 12 * RATE), Span(13 * RATE, 14 * RATE), Span(15 * RATE, 20 * RATE)]
    at = cut(np.zeros(20 * RATE, np.float32), voiced)
    assert at == pytest.approx(14.5 * RATE, abs=RATE // 10)


@pytest.mark.parametrize("gain", [1.0, 0.03, 0.01])
def test_speech_is_heard_however_quiet_it_is(gain: float) -> None:
    samples = decode_audio(str(AUDIO / "dialogue.opus"))[: 60 * RATE]
    loud, quiet = find_speech(samples), find_speech(samples * np.float32(gain))
    assert sum(b - a for a, b in quiet) == pytest.approx(sum(b - a for a, b in loud), rel=0.05)


@pytest.mark.parametrize("level", [1e-4, 1e-3, 1e-2])
def test_noise_of_any_level_is_no_speech(level: float) -> None:
    noise = np.random.default_rng(3).normal(0, level, 20 * RATE).astype(np.float32)
    hum = level * np.sin(2 * np.pi * 50 * np.arange(20 * RATE) / RATE).astype(np.float32)
    assert find_speech(noise) == []
    assert find_speech(hum) == []


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
