from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.merging import (
    IN_PHRASE,
    NEAR,
    Merged,
    Turns,
    assign,
    change_price,
    channeled,
    merged,
    weighed,
)
from scriberrd.transcript import BlockResult, Diarization, Segment, Turn, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B, C = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"


def turn(start: float, end: float, speaker: str) -> Turn:
    return Turn(start=start, end=end, speaker=speaker)


def diarization(*turns: Turn, overlapping: Sequence[Turn] | None = None) -> Diarization:
    regular = turns if overlapping is None else tuple(overlapping)
    return Diarization(model="m", device="cpu", turns=regular, exclusive=turns, embeddings={})


def saying(text: str, start: float = 0.0, pace: float = 0.4) -> list[Word]:
    return [
        Word(start=start + pace * n, end=start + pace * (n + 1), word=f" {word}", probability=0.9)
        for n, word in enumerate(text.split())
    ]


def segment(words: Sequence[Word]) -> Segment:
    text = "".join(word.word for word in words)
    return Segment(start=words[0].start, end=words[-1].end, text=text, avg_logprob=-0.5)


def block(*phrases: Sequence[Word], number: int = 0) -> BlockResult:
    words = tuple(itertools.chain.from_iterable(phrases))
    return BlockResult(
        number=number,
        start=0.0,
        end=words[-1].end if words else 0.0,
        speech=0.0,
        language="en",
        language_probability=1.0,
        segments=tuple(map(segment, phrases)),
        words=words,
    )


def who(words: Sequence[Word], *turns: Turn) -> str:
    """The speakers of the words as letters; "-" is nobody."""
    return letters(assign(words, Turns(turns, turns)))


def letters(speakers: Sequence[str | None]) -> str:
    return "".join("-" if one is None else "ABC"[int(one[-2:])] for one in speakers)


def only(made: Merged) -> BlockResult:
    (one,) = made.blocks
    return one


# What listeners would expect of dialogues.


def test_a_word_is_of_who_speaks_most_of_it() -> None:
    words = saying("Good morning. Hello there.")
    assert who(words, turn(0, 0.8, A), turn(0.8, 1.6, B)) == "AABB"


@pytest.mark.parametrize("late", [-0.3, -0.2, 0.2, 0.3])
def test_a_turn_that_begins_early_or_late_goes_to_the_end_of_the_sentence(late: float) -> None:
    words = saying("I think that is right. So what do we do")
    assert who(words, turn(0, 2.0 + late, A), turn(2.0 + late, 4, B)) == "AAAAABBBBB"


def test_a_turn_that_is_wrong_by_a_whole_word_in_mid_phrase_goes_to_the_pause() -> None:
    words = [*saying("that is right"), *saying("so what do we", start=1.7)]
    assert who(words, turn(0, 1.0, A), turn(1.0, 4, B)) == "AAABBBB"


def test_one_word_in_a_phrase_of_another_needs_evidence() -> None:
    phrase = saying("we went there and then came home")
    assert who(phrase, turn(0, 1.2, A), turn(1.2, 1.6, B), turn(1.6, 9, A)) == "AAAAAAA"
    slow = saying("we went there and then came home", pace=0.9)
    assert who(slow, turn(0, 2.7, A), turn(2.7, 3.6, B), turn(3.6, 9, A)) == "AAABAAA"


def test_a_short_answer_between_two_sentences_is_kept() -> None:
    words = saying("Is it true? Yes. Then tell me.", pace=0.3)
    assert who(words, turn(0, 0.9, A), turn(0.9, 1.2, B), turn(1.2, 3, A)) == "AAABAAA"


def test_a_word_beside_all_turns_goes_to_the_nearest_or_nobody() -> None:
    words = [*saying("near", start=2.0), *saying("far", start=9.0)]
    assert who(words, turn(0, 1, A), turn(5, 6, B)) == "A-"
    assert who(saying("nobody")) == "-"


def test_a_word_that_is_stretched_over_a_pause_counts_where_it_begins() -> None:
    words = [Word(start=0.0, end=5.0, word=" Well,"), *saying("yes", start=5.0)]
    assert who(words, turn(0, 1, A), turn(1.5, 6, B)) == "AB"


def test_who_is_heard_beneath_another_gets_the_word_before_a_third() -> None:
    turns = Turns(
        [turn(0, 4, A), turn(1, 2, B), turn(4, 5, C)],
        [turn(0, 1, A), turn(1, 2, B), turn(2, 4, A), turn(4, 5, C)],
    )
    assert turns.prices(1.0, 1.5) == pytest.approx({A: 0.25, B: 0.0})


def test_segments_are_split_where_the_speaker_changes() -> None:
    words = saying("How are you? I am fine.")
    made = only(merged([block(words)], diarization(turn(0, 1.2, A), turn(1.2, 2.4, B))))
    first, second = made.segments
    assert (first.speaker, first.text, first.start, first.end) == (
        *(A, "How are you?"),
        *(0.0, words[2].end),
    )
    assert (second.speaker, second.text, second.end) == (B, "I am fine.", words[-1].end)
    assert first.avg_logprob == second.avg_logprob == -0.5
    assert [word.speaker for word in made.words] == [A, A, A, B, B, B]


def test_text_without_spaces_before_its_words_is_split_as_it_is_written() -> None:
    words = [replace(word, word=word.word.strip()) for word in saying("Hello. Yes, hello.")]
    one = replace(block(words), segments=(Segment(start=0, end=1.2, text="Hello. Yes, hello."),))
    made = only(merged([one], diarization(turn(0, 0.4, A), turn(0.4, 1.2, B))))
    assert [(s.text, s.speaker) for s in made.segments] == [("Hello.", A), ("Yes, hello.", B)]


def test_words_that_nobody_said_are_told_and_do_not_split() -> None:
    words = [*saying("one"), *saying("two three", start=4.0), *saying("four", start=8.0)]
    made = merged([block(words), block(words)], diarization(turn(0, 1, A), turn(7.5, 9, A)))
    assert (made.unknown, made.places) == (4, 2)
    first, _ = made.blocks
    assert [word.speaker for word in first.words] == [A, UNSET, UNSET, A]
    assert [one.speaker for one in first.segments] == [A]


def test_segments_in_which_others_speak_are_marked() -> None:
    turns = [turn(0, 4, A), turn(1, 2, B)]
    made = merged(
        [block(saying("one two three four"), saying("five six", start=3.0))],
        diarization(turn(0, 4, A), overlapping=turns),
    )
    assert [one.overlap for one in only(made).segments] == [True, UNSET]


def test_a_transcript_without_words_has_a_speaker_a_segment() -> None:
    one = block(saying("a b c d e f"), saying("g", start=3.0), saying("h", start=30.0))
    made = merged([replace(one, words=())], diarization(turn(0, 1, A), turn(1, 2.4, B)))
    assert [one.speaker for one in only(made).segments] == [B, B, UNSET]


def test_channels_are_called_in_order_of_first_speech() -> None:
    words = saying("yes no")
    one = block(words[:1], words[1:])
    first, second = one.segments
    said = replace(
        one,
        segments=(replace(first, speaker="channel:1"), replace(second, speaker="channel:0")),
        words=(replace(words[0], speaker="channel:1"), replace(words[1], speaker="channel:0")),
    )
    made = channeled([said])
    assert made.labels == (A, B)
    assert [part.speaker for part in only(made).segments] == [A, B]
    assert [part.speaker for part in only(made).words] == [A, B]
    silent = channeled([one])
    assert silent.labels == ()
    assert only(silent) == one


# What holds of all.

TENTHS = st.integers(0, 80).map(lambda tenths: tenths / 10)
TOKENS = st.sampled_from([" yes", " no.", " well,", " and", " ok?", "然後"])


@st.composite
def phrases(draw: st.DrawFn, most: int = 12) -> list[Word]:
    """Words that follow one another, with pauses."""
    words, at = [], draw(TENTHS) / 4
    for token in draw(st.lists(TOKENS, max_size=most)):
        at += draw(st.sampled_from([0.0, 0.0, 0.0, 0.2, 0.5, 2.5]))
        end = at + draw(st.sampled_from([0.0, 0.1, 0.25, 0.4, 1.5]))
        words.append(Word(start=at, end=end, word=token))
        at = end
    return words


@st.composite
def exclusives(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Turns of up to three speakers, never two at a time; labels by first speech."""
    edges = sorted(draw(st.sets(TENTHS, max_size=12)))
    turns, labels = [], dict[str, str]()
    for start, end in itertools.pairwise(edges):
        if speaker := draw(st.sampled_from(["", "x", "y", "z"])):
            labels.setdefault(speaker, f"SPEAKER_{len(labels):02}")
            turns.append(turn(start, end, labels[speaker]))
    return tuple(turns)


@st.composite
def spoken(draw: st.DrawFn) -> tuple[list[BlockResult], Diarization]:
    """A recording of two blocks, and turns that may overlap."""
    blocks = []
    for number in range(2):
        words, parts = draw(phrases()), []
        while words:
            count = draw(st.integers(1, len(words)))
            parts.append(words[:count])
            words = words[count:]
        blocks.append(block(*parts, number=number))
    exclusive = draw(exclusives())
    more = [turn(one.start, one.end + draw(TENTHS) / 4, one.speaker) for one in exclusive]
    return blocks, diarization(*exclusive, overlapping=more)


def price(words: Sequence[Word], speakers: Sequence[str | None], turns: Turns) -> float:
    """Of a way through the words, by the rules alone."""
    total = 0.0
    for word, speaker in zip(words, speakers, strict=True):
        total += turns.prices(*weighed(word)).get(speaker, float("inf"))
    for n in range(1, len(words)):
        if speakers[n] != speakers[n - 1] and None not in speakers[n - 1 : n + 1]:
            total += change_price(words[n - 1], words[n])
    return total


@given(phrases(most=6), exclusives())
def test_no_other_way_is_cheaper(words: list[Word], turns: tuple[Turn, ...]) -> None:
    known = Turns(turns, turns)
    found = price(words, assign(words, known), known)
    ways = itertools.product(*(known.prices(*weighed(word)) for word in words))
    assert found == pytest.approx(min(price(words, way, known) for way in ways))


@given(phrases(), exclusives())
def test_nobody_says_a_word_only_where_nobody_is_near(
    words: list[Word], turns: tuple[Turn, ...]
) -> None:
    for word, speaker in zip(words, assign(words, Turns(turns, turns)), strict=True):
        start, end = weighed(word)
        near = any(one.start - end <= NEAR and start - one.end <= NEAR for one in turns)
        assert near == (speaker is not None)


@given(phrases(), exclusives(), st.permutations([A, B, C]))
def test_labels_decide_nothing(
    words: list[Word], turns: tuple[Turn, ...], others: list[str]
) -> None:
    names = dict(zip([A, B, C], others, strict=True))
    again = [replace(one, speaker=names[one.speaker]) for one in turns]
    named = [one and names[one] for one in assign(words, Turns(turns, turns))]
    assert assign(words, Turns(again, again)) == named


@given(phrases(), exclusives())
def test_one_speaker_says_all_that_is_near(words: list[Word], turns: tuple[Turn, ...]) -> None:
    alone = [replace(one, speaker=A) for one in turns]
    assert set(assign(words, Turns(alone, alone))) <= {A, None}


@given(phrases(), exclusives())
def test_no_word_alone_in_a_phrase_of_another_without_evidence(
    words: list[Word], turns: tuple[Turn, ...]
) -> None:
    known = Turns(turns, turns)
    speakers = assign(words, known)
    for n in range(1, len(words) - 1):
        before, own, after = speakers[n - 1 : n + 2]
        changes = [change_price(*words[m : m + 2]) for m in (n - 1, n)]
        if before == after != own and changes == [IN_PHRASE] * 2 and None not in (before, own):
            prices = known.prices(*weighed(words[n]))
            assert prices.get(before, 9.0) - prices[own] >= 2 * IN_PHRASE - 1e-9


sentences = st.lists(
    st.tuples(st.integers(1, 5), st.floats(0.5, 1.2), st.sampled_from([A, B, C])),
    min_size=1,
    max_size=6,
)


@given(sentences, st.data())
def test_turns_that_end_in_pauses_are_taken_as_they_are_even_a_little_off(
    said: list[tuple[int, float, str]], data: st.DataObject
) -> None:
    words, turns, expected, at = list[Word](), [], list[str](), 1.0
    for count, pause, speaker in said:
        phrase = saying(" ".join(["word"] * (count - 1) + ["end."]), start=at, pace=0.4)
        words += phrase
        expected += [speaker] * count
        off = data.draw(st.floats(-0.149, 0.149)), data.draw(st.floats(-0.149, 0.149))
        turns.append(turn(at + off[0], phrase[-1].end + off[1], speaker))
        at = phrase[-1].end + pause
    assert assign(words, Turns(turns, turns)) == expected


@given(spoken())
def test_nothing_is_lost_or_invented(found: tuple[list[BlockResult], Diarization]) -> None:
    blocks, voices = found
    made = merged(blocks, voices)
    for before, after in zip(blocks, made.blocks, strict=True):
        assert [replace(word, speaker=UNSET) for word in after.words] == list(before.words)
        text = "".join("".join(one.text for one in after.segments).split())
        assert text == "".join("".join(one.text for one in before.segments).split())
        times = [(one.start, one.end) for one in after.segments]
        assert times == sorted(times)
        assert all(start <= end for start, end in times)
        assert times[:1] == [(one.start, times[0][1]) for one in before.segments[:1]]
    assert list(made.blocks) == list(made.blocks)
    used = [word.speaker for one in made.blocks for word in one.words]
    assert made.unknown == used.count(UNSET)
    assert set(used) - {UNSET} <= set(made.labels)


@given(spoken())
def test_every_segment_has_the_speaker_of_its_words(
    found: tuple[list[BlockResult], Diarization],
) -> None:
    made = merged(*found)
    for one in made.blocks:
        words = iter(one.words)
        for part in one.segments:
            count, text = 0, "".join(part.text.split())
            speakers = set[object]()
            while count < len(text):
                word = next(words)
                count += len("".join(word.word.split()))
                speakers.add(word.speaker)
            assert speakers - {UNSET} <= {part.speaker}


@given(spoken())
def test_without_turns_nothing_is_said_of_speakers(
    found: tuple[list[BlockResult], Diarization],
) -> None:
    blocks, _ = found
    made = merged(blocks, diarization())
    assert list(made.blocks) == blocks
    assert made.labels == ()


@given(spoken())
def test_blocks_are_merged_each_for_itself(found: tuple[list[BlockResult], Diarization]) -> None:
    blocks, voices = found
    apart = [only(merged([one], voices)) for one in blocks]
    assert list(merged(blocks, voices).blocks) == apart


@given(phrases(), exclusives())
def test_segments_alone_go_to_who_speaks_most_of_them(
    words: list[Word], turns: tuple[Turn, ...]
) -> None:
    assume(words)
    one = replace(block(words), words=())
    (found,) = only(merged([one], diarization(*turns))).segments
    shares = dict.fromkeys((t.speaker for t in turns), 0.0)
    for t in turns:
        shares[t.speaker] += max(min(t.end, found.end) - max(t.start, found.start), 0.0)
    if max(shares.values(), default=0.0) > 0:
        assert shares[str(found.speaker)] == pytest.approx(max(shares.values()))
