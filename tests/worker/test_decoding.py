"""Which attempt at a clip is kept, with an engine that says what the test tells it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import UNSET

from scriberrd.settings import Settings
from scriberrd.transcript import EngineInfo, Word
from scriberrd.worker.audio import RATE
from scriberrd.worker.blocks import Block, Span
from scriberrd.worker.clips import Clip, pack
from scriberrd.worker.decoding import Decoded, decode
from scriberrd.worker.engines import Context, Heard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 20


class Scripted:
    """An engine that says one thing after the other, the last one again and again."""

    ways = 3
    info = EngineInfo(provider="scripted", model="none", device="cpu", compute_type="int8")

    def __init__(self, *said: Heard, languages: Sequence[str] = ("en",)) -> None:
        self.said, self.languages = list(said), list(languages)
        self.contexts: list[Context] = []

    def check(self, settings: Settings) -> None:
        """All is well."""

    def identify(self, clips: Sequence[Clip], tick: Any) -> list[Mapping[str, float]]:  # noqa: ARG002
        return [{self.languages.pop(0): 0.9} for _ in clips]

    def decode(self, clips: Sequence[Clip], context: Context, way: int, tick: Any) -> list[Heard]:  # noqa: ARG002
        self.contexts.append(context)
        return [self.said.pop(0) if len(self.said) > 1 else self.said[0] for _ in clips]


def heard(text: str, logprob: float = -0.2, start: float = 0.0, each: float = 0.4) -> Heard:
    words = tuple(
        Word(start=start + each * n, end=start + each * (n + 1), word=f" {word}", probability=0.9)
        for n, word in enumerate(text.split())
    )
    return Heard(words, f" {text}" if text else "", avg_logprob=logprob, no_speech_prob=0.1)


def clips(*voiced: tuple[float, float], heard_by: bool = True) -> list[Clip]:
    """The clips of a block of 20 s with so much speech; `heard_by`: of a detector."""
    spans = tuple(Span(int(a * RATE), int(b * RATE)) for a, b in voiced)
    samples = np.zeros(SECONDS * RATE, np.float32)
    return pack(Block(0, samples, spans if heard_by else None))


def say(engine: Any, of: list[Clip], **settings: Any) -> list[Decoded]:
    return decode(of, engine, Context(Settings(**settings), "en"), lambda: None)


def text(found: list[Decoded]) -> str:
    return " ".join(segment.text for one in found for segment in one.segments)


LONG = (
    "Printing, in the only sense with which we are at present concerned, differs from most if not"
    " from all the arts and crafts represented in the Exhibition in being comparatively modern, for"
    " although the Chinese took impressions"
)


def test_a_good_first_attempt_is_the_only_one() -> None:
    engine = Scripted(heard(LONG))
    assert text(say(engine, clips((0.0, 13.6)))) == LONG
    assert len(engine.contexts) == 1


def test_words_that_somebody_repeats_are_kept_and_marked() -> None:
    said = f"{LONG} {'no ' * 9}".strip()
    engine = Scripted(heard(said), heard(LONG))
    (found,) = say(engine, clips((0.0, 17.2)))
    assert text([found]) == said
    assert {segment.suspect for segment in found.segments} == {("repetitive",)}
    assert found.gaps == ()


def test_a_loop_is_replaced_by_what_is_as_complete() -> None:
    engine = Scripted(heard("so " * 34), heard(LONG))
    assert text(say(engine, clips((0.0, 13.6)))) == LONG


def test_a_clip_that_stopped_short_is_listened_to_from_there() -> None:
    engine = Scripted(heard("one two three"), heard("four five six", start=0.4))
    (found,) = say(engine, clips((0.0, 1.2), (8.0, 9.4)))
    assert text([found]) == "one two three four five six"
    assert found.words[3].start == pytest.approx(8.0, abs=0.1)
    assert len(engine.contexts) == 2


def test_what_stays_missing_is_a_gap() -> None:
    (found,) = say(Scripted(heard("one two three"), heard("")), clips((0.0, 1.2), (8.0, 12.0)))
    ((gap),) = found.gaps
    assert (gap.start, gap.end, gap.why) == (8.0, 12.0, "no_words")


@pytest.mark.parametrize("vad", [True, False])
def test_doubtful_words_are_not_dropped_for_nothing(vad: bool) -> None:
    engine = Scripted(heard("Yes.", logprob=-1.2), heard(""))
    (found,) = say(engine, clips((0.0, 0.8), heard_by=vad))
    assert text([found]) == "Yes."
    assert found.segments[0].suspect == ("low_confidence",)


def test_words_that_are_dropped_for_silence_are_listed() -> None:
    invented = heard("you", logprob=-1.3)._replace(no_speech_prob=0.8)
    (found,) = say(Scripted(invented, heard("")), clips((0.0, 0.8)))
    assert text([found]) == ""
    assert [gap.why for gap in found.gaps] == ["phantom"]


def test_a_phantom_without_speech_is_left_out_and_one_with_speech_is_marked() -> None:
    said = heard("Thank you for watching!")
    (left_out,) = say(Scripted(said), clips((1.0, 1.2)))
    assert (text([left_out]), [gap.why for gap in left_out.gaps]) == ("", ["phantom"])
    (marked,) = say(Scripted(said), clips((0.0, 1.6)))
    assert marked.segments[0].suspect == ("phantom",)
    assert marked.gaps == ()


def test_an_engine_without_words_keeps_its_text() -> None:
    said = Heard((), "no no no no and the contract was signed on Monday.", avg_logprob=-1.5)
    (found,) = say(Scripted(said), clips((0.0, 10.0)))
    assert text([found]) == said.text
    assert found.words == ()


def test_more_words_than_time_stay_within_their_clip() -> None:
    (found,) = say(Scripted(heard("a " * 60, each=0.0)), clips((0.0, 0.25)))
    assert found.words[0].start >= 0.0
    assert all(before.end <= after.start + 1e-3 for before, after in pairwise(found.words))


def test_the_text_before_is_carried_over_good_clips_only() -> None:
    block = clips((0.0, 1.0), (5.0, 6.0), (10.0, 11.0))[0].block
    three = [Clip(block, Span(at * RATE, (at + 5) * RATE)) for at in (0, 5, 10)]
    bad = [heard("what now", logprob=-2.0)._replace(after="bad")] * 4  # in each of the ways
    good = [heard("one two")._replace(after="first"), heard("three four")._replace(after="third")]
    engine = Scripted(good[0], *bad, good[1])
    say(engine, three, context="carry")
    assert engine.contexts[1].before == "first"
    assert [context.before for context in engine.contexts[2:]] == [None] * 4


@pytest.mark.parametrize("context", ["none", "carry"])
def test_each_clip_has_its_own_language(context: str) -> None:
    block = clips((0.0, 1.0))[0].block
    of = [Clip(block, Span(0, 2 * RATE)), Clip(block, Span(2 * RATE, 4 * RATE))]
    engine = Scripted(heard("one two"), languages=["en", "es"])
    found = say(engine, of, multilingual=True, context=context)
    assert [one.segments[0].language for one in found] == ["en", "es"]
    (plain,) = say(Scripted(heard("one two")), of[:1])
    assert plain.segments[0].language is UNSET
