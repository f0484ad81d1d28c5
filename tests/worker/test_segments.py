from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from scriberrd.transcript import Word
from scriberrd.worker.segments import LONGEST, split
from scriberrd.worker.timing import SHORTEST, timed

times = st.floats(0, 60, allow_nan=False)


@st.composite
def spoken(draw: st.DrawFn) -> list[Word]:
    """Words as an aligner may give them: some without length, some far too long."""
    at, words = 0.0, []
    for _ in range(draw(st.integers(1, 80))):
        at += draw(st.sampled_from([0.0, 0.0, 0.1, 0.5, 2.0]))
        end = at + draw(st.sampled_from([0.0, 0.02, 0.2, 0.4, 1.0, 9.0]))
        words.append(Word(start=at, end=end, word=draw(st.sampled_from([" a", " b,", " c.", "d"]))))
        at = end
    return words


def text(words: list[Word]) -> str:
    return "".join(word.word for word in words)


def word(start: float, end: float, said: str) -> Word:
    return Word(start=start, end=end, word=said)


@given(spoken(), st.lists(st.tuples(times, st.floats(0.2, 5)), max_size=8))
def test_times_grow_and_every_word_takes_a_while(
    words: list[Word], parts: list[tuple[float, float]]
) -> None:
    voiced, last = [], 0.0
    for start, length in sorted(parts):
        if start > last:
            voiced.append((start, start + length))
            last = start + length
    found = timed(words, voiced, max(60.0, words[-1].end))
    assert text(list(found)) == text(words)
    for before, after in pairwise(found):
        assert before.end <= after.start + 1e-9
    assert all(one.end - one.start >= SHORTEST - 1e-9 for one in found)


@given(spoken())
def test_segments_keep_every_word_and_are_not_long(words: list[Word]) -> None:
    parts = list(split(words))
    assert [one for part in parts for one in part] == words
    for part in parts:
        assert part[-1].end - part[0].start <= LONGEST or len(part) == 1


def test_segments_end_with_sentences_and_in_pauses() -> None:
    words = [
        *(word(0.0, 0.5, " J."), word(0.5, 1.0, " Smith"), word(1.0, 1.5, " came.")),
        *(word(1.6, 2.0, " He"), word(2.0, 2.4, " said")),
        *(word(4.0, 4.4, " yes"), word(4.4, 5.0, ' then."'), word(5.0, 5.5, " So.")),
    ]
    said = [text(list(part)) for part in split(words)]
    assert said == [" J. Smith came.", " He said", ' yes then."', " So."]


def test_long_sentences_are_cut_at_clauses() -> None:
    words = [word(n, n + 0.9, " word," if n == 9 else " word") for n in range(20)]
    first, second = split(words)
    assert (len(first), len(second)) == (10, 10)


def test_words_leave_the_silence_around_speech() -> None:
    voiced = [(1.0, 2.0), (5.0, 6.0)]
    first, second = timed([word(0.0, 1.8, " a"), word(1.8, 5.6, " b")], voiced, 8.0)
    assert (round(first.start, 2), first.end) == (0.9, 1.8)
    assert (round(second.start, 2), second.end) == (4.9, 5.6)
