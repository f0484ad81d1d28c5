"""What stands on two channels is written once; what only seems to stays."""

from __future__ import annotations

import numpy as np
import pytest
import stereo

from scriberrd.transcript import Segment, Word
from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.blocks import Block, Span
from scriberrd.worker.crosstalk import Said, alike, once, quiet

LENGTH = 13.0  # seconds: two turns of each voice


@pytest.fixture(scope="module")
def sound() -> Samples:
    return stereo.apart(LENGTH)


def spans(voice: str) -> tuple[Span, ...]:
    return tuple(
        Span(round(turn["start"] * RATE), round(turn["end"] * RATE))
        for turn in stereo.turns(LENGTH)
        if turn["voice"] == voice
    )


def parts(sound: Samples) -> list[Block]:
    """The channels, on both of which all speech is found."""
    everything = tuple(sorted(spans(stereo.VOICES[0]) + spans(stereo.VOICES[1])))
    return [Block(0, samples, everything, channel) for channel, samples in enumerate(sound)]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
def test_a_faint_copy_is_not_listened_to(sound: Samples, share: float) -> None:
    for part, voice in zip(quiet(parts(stereo.bleeding(sound, share))), stereo.VOICES, strict=True):
        assert part.voiced == spans(voice)


def test_who_speaks_beneath_another_is_listened_to(sound: Samples) -> None:
    """Somebody faint is not the copy of somebody loud."""
    one, other = sound[0], np.roll(sound[1], -3 * RATE)
    for part in quiet(parts(np.stack([one, 0.05 * other]))):
        assert set(spans(stereo.VOICES[0])) & set(part.voiced or ())


def test_a_copy_with_words_of_ones_own_is_listened_to(sound: Samples) -> None:
    mixed = stereo.bleeding(sound, 0.1)
    first = spans(stereo.VOICES[0])[0]
    own = sound[1, slice(*spans(stereo.VOICES[1])[0])][:RATE]
    mixed[1, first.end - RATE : first.end] += own
    assert list(quiet(parts(mixed)))[1].voiced == (first, *spans(stereo.VOICES[1]))


def test_all_is_listened_to_where_nobody_looked_for_speech(sound: Samples) -> None:
    blocks = [part._replace(voiced=None) for part in parts(sound)]
    assert list(quiet(blocks)) == blocks


def test_sound_that_is_alike(sound: Samples) -> None:
    one, other = sound[0][:RATE], sound[1][4 * RATE : 5 * RATE]
    assert alike(one, -0.01 * np.roll(one, 300))
    assert not alike(one, np.roll(one, RATE // 4))
    assert not alike(one, other)
    assert not alike(one, np.zeros_like(one))
    assert not alike(one + 0.5, other + 0.5)  # a microphone's offset is no sound
    assert not alike(one[:0], other[:0])


def said(channel: int, text: str, start: float, samples: Samples) -> Said:
    """Words of 0.3 s each."""
    words = [
        Word(start=start + 0.3 * n, end=start + 0.3 * n + 0.3, word=f" {word}")
        for n, word in enumerate(text.split())
    ]
    segment = Segment(start=start, end=words[-1].end, text=text)
    return Said(segment, words, Block(0, samples, None, channel))


def texts(found: list[Said]) -> list[tuple[int | None, str, float]]:
    return [(one.block.channel, one.segment.text, round(one.segment.start, 3)) for one in found]


CHANCE = np.random.default_rng(1)
LOUD, FAINT = (CHANCE.normal(0, one, 20 * RATE) for one in (0.1, 0.01))
HEARD = 0.05 * LOUD  # in the other's microphone


def test_the_louder_channel_keeps_what_both_have() -> None:
    one = said(0, "We leave at noon.", 1.0, LOUD)
    two = said(1, "we leave at noon", 1.1, FAINT)
    assert texts(once([one, two])) == texts(once([two, one])) == [(0, "We leave at noon.", 1.0)]


def test_what_a_channel_has_alone_is_kept() -> None:
    one = said(0, "So we leave at noon.", 1.0, LOUD)
    two = said(1, "Right. we leave at noon. Then I come.", 1.0, FAINT)
    kept = [(0, "So we leave at noon.", 1.0), (1, "Right.", 1.0), (1, "Then I come.", 2.5)]
    assert texts(once([one, two])) == kept


def test_a_word_that_two_say_at_once_is_kept_twice_unless_it_is_one_sound() -> None:
    one = said(0, "Yes.", 1.0, LOUD)
    assert len(once([one, said(1, "Yes.", 1.0, FAINT)])) == 2
    assert texts(once([one, said(1, "Yes.", 1.0, HEARD)])) == [(0, "Yes.", 1.0)]


def test_the_same_words_at_another_time_or_of_the_same_channel_are_kept() -> None:
    one = said(0, "We leave at noon.", 1.0, LOUD)
    for other in (
        said(1, "We leave at noon.", 1.8, FAINT),
        said(0, "We leave at noon.", 1.0, FAINT),
        said(1, "He eats at home.", 1.0, FAINT),
    ):
        assert once([one, other]) == [one, other]
