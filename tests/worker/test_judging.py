from __future__ import annotations

import pytest

from scriberrd.transcript import Word
from scriberrd.worker.engines import Heard
from scriberrd.worker.judging import Verdict, compression_ratio, holes, judge, loops

SPEECH = ((0.0, 20.0),)
RIGHT = {
    "en": "It is of the first importance that the letter used should be fine in form.",
    "de": "Es ist von höchster Bedeutung, dass die verwendete Schrift eine schöne Form hat.",
    "ru": "Прежде всего важно, чтобы используемая буква была прекрасна по форме.",
    "el": "Είναι πρωταρχικής σημασίας το γράμμα να έχει ωραία μορφή.",
    "hi": "यह सबसे महत्वपूर्ण है कि प्रयुक्त अक्षर रूप में सुंदर होना चाहिए।",
    "ja": "使われる文字の形が美しいことが何よりも大切であると彼は考えていました。",
    "zh": "最重要的是所用的字母在形式上应该是美观的，这一点大家都同意。",
    "th": "สิ่งสำคัญที่สุดคือตัวอักษรที่ใช้ควรมีรูปแบบที่สวยงาม",
}


def words(text: str, start: float = 0.0, each: float = 0.3) -> tuple[Word, ...]:
    parts = [f" {part}" for part in text.split()] if " " in text else list(text)
    return tuple(
        Word(start=start + each * n, end=start + each * (n + 1), word=part, probability=0.9)
        for n, part in enumerate(parts)
    )


def verdict(text: str, voiced: tuple[tuple[float, float], ...] = (), **figures: float) -> Verdict:
    said = words(text, each=0.15 if " " not in text else 0.3)
    heard = Heard(said, text, **{"avg_logprob": -0.2, "no_speech_prob": 0.1, **figures})
    return judge(heard, said, voiced or ((0.0, said[-1].end if said else 0.0),))


@pytest.mark.parametrize("language", RIGHT)
def test_right_text_is_good_in_any_script(language: str) -> None:
    assert verdict(RIGHT[language]).good
    assert verdict(RIGHT[language]).suspect == ()


@pytest.mark.parametrize(
    "text", ["no " * 105, "and then we go home " * 8, "はい" * 60, "我们走吧" * 9]
)
def test_loops_are_bad_in_any_script(text: str) -> None:
    found = verdict(text.strip())
    assert not found.good
    assert "repetitive" in found.suspect


def test_people_repeat_themselves_a_little() -> None:
    assert not loops(words("no no no no no I said no and I mean no"))
    assert not loops(words("ask not what your country can do for you ask what you can do"))


def test_text_of_all_scripts_compresses_alike() -> None:
    ratios = {language: compression_ratio(text * 2) for language, text in RIGHT.items()}
    assert 1.4 < min(ratios.values()) < max(ratios.values()) < 2.2
    assert compression_ratio("") == 0.0


def test_figures_of_the_decoder_count() -> None:
    assert verdict(RIGHT["en"], avg_logprob=-1.2).suspect == ("low_confidence",)
    assert not verdict(RIGHT["en"], avg_logprob=-1.2).good
    assert verdict(RIGHT["en"], avg_logprob=-0.7, no_speech_prob=0.7).suspect == ("maybe_silence",)


def test_nobody_speaks_that_fast() -> None:
    found = verdict(RIGHT["en"], voiced=((0.0, 1.2),))
    assert found.suspect == ("too_fast",)
    assert not found.good


def test_speech_without_words_is_a_hole() -> None:
    said = words("one two three", start=2.0)
    voiced = [(0.0, 0.9), (1.2, 1.9), (2.0, 2.9), (3.5, 4.2), (5.0, 9.0)]
    assert list(holes(said, voiced)) == [(0.0, 1.9), (5.0, 9.0)]
    assert list(holes(said, None)) == []
    assert judge(Heard((), ""), (), voiced).missed == 7


def test_a_long_word_hides_no_hole() -> None:
    long = (Word(start=0.0, end=8.0, word=" well"),)
    assert list(holes(long, [(0.0, 8.0)])) == [(0.8, 8.0)]


def test_the_better_of_two_attempts_is_the_smaller_verdict() -> None:
    good, doubtful = verdict(RIGHT["en"]), verdict(RIGHT["en"], avg_logprob=-1.3)
    looping, missing = verdict("no " * 105), verdict("one two", voiced=SPEECH)
    assert sorted([looping, missing, doubtful, good]) == [good, doubtful, looping, missing]
