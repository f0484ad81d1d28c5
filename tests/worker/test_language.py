from __future__ import annotations

import numpy as np

from scriberrd.worker.audio import RATE
from scriberrd.worker.blocks import Block, Span
from scriberrd.worker.clips import pack
from scriberrd.worker.language import choose, spread


def test_a_few_clips_spread_over_the_speech_decide() -> None:
    voiced = tuple(Span(n * 30 * RATE, (n * 30 + 25) * RATE) for n in range(10))
    clips = pack(Block(0, np.zeros(300 * RATE, np.float32), voiced))
    assert [clip.span.start // (30 * RATE) for clip in spread(clips)] == [0, 1, 3, 5, 8]
    assert spread(clips[:2]) == clips[:2]


def test_the_language_is_the_most_probable_on_average() -> None:
    votes = [{"en": 0.9, "de": 0.1}, {"en": 0.1, "de": 0.8}, {"en": 0.2, "de": 0.7}]
    assert choose(votes) == ("de", 0.5333)


def test_the_choice_can_be_limited() -> None:
    votes = [{"el": 0.5, "es": 0.3, "en": 0.1}]
    assert choose(votes, ("en", "es")) == ("es", 0.75)
    assert choose(votes, ("fi",)) == ("fi", 0.0)
