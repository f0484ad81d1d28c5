from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriberrd.merging import spelled
from scriberrd.output.formats import FORMATS
from scriberrd.output.formats.cues import cues
from scriberrd.settings import Format, SpeakerLabels
from scriberrd.transcript import (
    EngineInfo,
    Segment,
    SourceInfo,
    Speaker,
    Stats,
    Transcript,
    Turn,
    Word,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def written(format_: Format, made: Transcript) -> bytes:
    return b"".join(FORMATS[format_].render(made))


def transcript(segments: list[Segment], words: list[Word] | None = None) -> Transcript:
    return Transcript(
        text=" ".join(segment.text.strip() for segment in segments),
        language="en",
        language_probability=1.0,
        duration=max([0.0, *(segment.end for segment in segments)]),
        speech_duration=0.0,
        segments=tuple(segments),
        words=tuple(words or ()),
        engine=EngineInfo(provider="test", model="none", device="cpu", compute_type="int8"),
        source=SourceInfo(
            name="talk.wav", sha256="0" * 64, size=1, container="wav", codec="pcm", channels=1
        ),
        stats=Stats(words=0, processing_seconds=1.0, real_time_factor=None, confidence=None),
    )


def spoken(start: float, sentence: str, *, pace: float = 0.4, speaker: str = "") -> Transcript:
    """One segment with words, as an engine gives them."""
    tokens = sentence.split()
    words = [
        Word(start=start + n * pace, end=start + (n + 1) * pace, word=f" {token}", probability=1)
        for n, token in enumerate(tokens)
    ]
    segment = Segment(
        start=start,
        end=words[-1].end,
        text=f" {sentence}",
        speaker=speaker or msgspec.UNSET,
    )
    return transcript([segment], words)


def together(*parts: Transcript) -> Transcript:
    return transcript(
        [segment for part in parts for segment in part.segments],
        [word for part in parts for word in part.words],
    )


class Cue(NamedTuple):
    start: int
    end: int
    lines: list[str]
    speaker: str = ""


TIME = r"(\d\d+):([0-5]\d):([0-5]\d)[,.](\d{3})"


def milliseconds(hours: str, minutes: str, seconds: str, rest: str) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(rest)


def parse(block: str) -> Cue:
    timing, *lines = block.split("\n")
    match = re.fullmatch(f"{TIME} --> {TIME}", timing)
    assert match, timing
    return Cue(milliseconds(*match.groups()[:4]), milliseconds(*match.groups()[4:]), lines)


def srt(made: Transcript) -> list[Cue]:
    data = written("srt", made).decode()
    if not data:
        return []
    assert data.endswith("\n")
    found = []
    for number, block in enumerate(data[:-1].split("\n\n"), 1):
        first, _, rest = block.partition("\n")
        assert first == str(number)
        found.append(parse(rest))
    return found


def vtt(made: Transcript) -> list[Cue]:
    data = written("vtt", made).decode()
    assert data.endswith("\n")
    head, *blocks = data[:-1].split("\n\n")
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        cue = parse(block)
        text = "\n".join(cue.lines)
        assert "-->" not in text
        voice = re.match(r"<v ([^>\n]*)>", text)
        text, speaker = (text[voice.end() :], voice[1]) if voice else (text, "")
        lines = html.unescape(text).split("\n")
        found.append(cue._replace(lines=lines, speaker=html.unescape(speaker)))
    return found


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def check(shown: list[Cue]) -> None:
    begun, ends = 0, dict[str, int]()
    for cue in shown:
        assert max(begun, ends.get(cue.speaker, 0)) <= cue.start < cue.end, cue
        begun, ends[cue.speaker] = cue.start, cue.end
        assert 1 <= len(cue.lines) <= 2, cue
        for line in cue.lines:
            assert line == line.strip() != "", cue
            assert columns(line) <= 42 or len(line.split()) == 1, cue


def test_there_is_a_writer_for_each_format() -> None:
    assert set(FORMATS) == set(get_args(Format))
    made = spoken(0, "Hello.")
    assert written("json", made) == b"".join(encode(made))


def test_nothing_said_gives_valid_files() -> None:
    empty = transcript([])
    assert written("txt", empty) == b""
    assert written("srt", empty) == b""
    assert written("vtt", empty) == b"WEBVTT\n"


def test_a_short_phrase_is_one_cue() -> None:
    made = spoken(3661.5, "Hello there.")
    assert written("srt", made) == b"1\n01:01:01,500 --> 01:01:02,300\nHello there.\n"
    assert written("vtt", made) == b"WEBVTT\n\n01:01:01.500 --> 01:01:02.300\nHello there.\n"


def test_long_segments_are_cut_at_clauses_and_lines_are_balanced() -> None:
    made = spoken(
        0,
        "We choose to go to the moon in this decade, and do the other things,"
        " not because they are easy, but because they are hard.",
        pace=0.2,
    )
    assert srt(made) == [
        Cue(0, 3000, ["We choose to go to the moon in this", "decade, and do the other things,"]),
        Cue(3000, 5000, ["not because they are easy,", "but because they are hard."]),
    ]


def test_cues_last_seven_seconds_at_most_and_end_at_pauses() -> None:
    slow = spoken(0, "one two three four five six seven eight nine", pace=1.5)
    assert max(cue.end - cue.start for cue in srt(slow)) <= 7000
    paused = spoken(0, "one two")
    later = msgspec.structs.replace(paused.words[1], start=5.0, end=5.4)
    paused = transcript(list(paused.segments), [paused.words[0], later])
    assert [(cue.start, cue.lines) for cue in srt(paused)] == [(0, ["one"]), (5000, ["two"])]


def test_a_flash_of_a_cue_is_shown_longer_when_there_is_room() -> None:
    parts = together(spoken(1, "Yes.", pace=0.1), spoken(1.5, "No.", pace=0.1))
    assert [cue[:2] for cue in srt(parts)] == [(1000, 1500), (1500, 1600)]
    parts = together(spoken(1, "Yes.", pace=0.1), spoken(9, "No.", pace=0.1))
    assert [cue[:2] for cue in srt(parts)] == [(1000, 1800), (9000, 9100)]


def test_overlapping_segments_of_one_speaker_give_cues_that_follow_each_other() -> None:
    parts = together(spoken(0, "one two three"), spoken(0.5, "four five"), spoken(0.4, "six"))
    check(srt(parts))
    assert [cue.lines for cue in srt(parts)] == [["one two three"], ["four five"], ["six"]]


def test_who_speaks_while_others_do_is_shown_meanwhile() -> None:
    parts = together(
        spoken(0, " ".join(["well"] * 35), speaker="A"),
        spoken(1, "yes I see that", pace=0.3, speaker="B"),
    )
    assert [(cue.start, cue.end, cue.speaker) for cue in vtt(parts)] == [
        *((0, 6400, "A"), (1000, 2200, "B")),
        *((6400, 12800, "A"), (12800, 14000, "A")),
    ]
    assert [cue.lines[0].partition(" ")[0] for cue in srt(parts)] == ["A:", "B:", "A:", "well"]


def test_speakers_are_named() -> None:
    made = together(
        spoken(0, "Hello.", speaker="SPEAKER_00"),
        spoken(1, "How are you?", speaker="SPEAKER_00"),
        spoken(2, "Fine.", speaker="A & <B>"),
    )
    assert [cue.lines for cue in srt(made)] == [
        ["SPEAKER_00: Hello."],
        ["How are you?"],
        ["A & <B>: Fine."],
    ]
    assert b"\n<v SPEAKER_00>How are you?\n" in written("vtt", made)
    assert b"\n<v A &amp; &lt;B&gt;>Fine.\n" in written("vtt", made)
    assert written("txt", made) == b"SPEAKER_00: Hello. How are you?\n\nA & <B>: Fine.\n"


def named(made: Transcript, **names: str) -> Transcript:
    known = tuple(Speaker(label=label, name=name) for label, name in names.items())
    return msgspec.structs.replace(made, speakers=known)


TALK = named(
    together(
        spoken(0, "Hello.", speaker="SPEAKER_00"),
        spoken(1, "How are you?", speaker="SPEAKER_01"),
        spoken(2.5, "Hm."),
        spoken(3, "Fine.", speaker="SPEAKER_01"),
    ),
    SPEAKER_00="Ada  Lovelace",
)


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        ("auto", ["Ada Lovelace: Hello.", "SPEAKER_01: How are you?", "Hm.", "SPEAKER_01: Fine."]),
        (
            "brackets",
            ["[Ada Lovelace] Hello.", "[SPEAKER_01] How are you?", "Hm.", "[SPEAKER_01] Fine."],
        ),
        ("none", ["Hello.", "How are you?", "Hm.", "Fine."]),
    ],
)
def test_conventions_differ(labels: SpeakerLabels, texts: list[str]) -> None:
    def read(format_: Format, labels: SpeakerLabels) -> str:
        return b"".join(FORMATS[format_].render(TALK, labels)).decode()

    assert read("txt", labels) == "\n\n".join(texts) + "\n"
    assert re.findall(r" --> .*\n(.*)", read("srt", labels)) == texts
    if labels == "auto":
        assert read("txt", "prefix") == read("txt", labels)
        assert read("srt", "prefix") == read("srt", labels)
        assert re.findall(r" --> .*\n(.*)", read("vtt", "prefix")) == texts
        assert "\n<v Ada Lovelace>Hello.\n" in read("vtt", labels)
        assert "\nHm.\n" in read("vtt", labels)
    else:
        assert re.findall(r" --> .*\n(.*)", read("vtt", labels)) == texts
    for untouched in ("json", "rttm"):
        assert read(untouched, labels) == read(untouched, "auto")


def test_labels_of_one_name_are_one_speaker() -> None:
    made = named(
        together(
            spoken(0, "One.", speaker="SPEAKER_00"),
            spoken(1, "Two.", speaker="SPEAKER_01"),
        ),
        SPEAKER_00="Ada",
        SPEAKER_01="Ada",
    )
    assert written("txt", made) == b"Ada: One. Two.\n"
    assert [cue.lines for cue in srt(made)] == [["Ada: One."], ["Two."]]


def test_markup_is_escaped_and_arrows_do_not_end_a_cue() -> None:
    made = transcript([Segment(start=0, end=2, text="if a<b & c-->d\n\nthen\x85\0")])
    assert [cue.lines for cue in vtt(made)] == [["if a<b & c-->d then \ufffd"]]
    assert [cue.lines for cue in srt(made)] == [["if a<b & c→d then \0"]]


def test_scripts_without_spaces_are_cut_between_characters() -> None:
    text = "今日は天気がいいので、散歩に行きましょう。" * 3
    made = transcript(
        [Segment(start=0, end=13, text=text)],
        [Word(start=n * 0.2, end=n * 0.2 + 0.2, word=c) for n, c in enumerate(text)],
    )
    for one in (made, transcript(list(made.segments))):
        cues = srt(one)
        assert len(cues) > 1
        assert "".join("".join(cue.lines) for cue in cues) == text
        assert all(columns(line) <= 42 for cue in cues for line in cue.lines)
        assert not any(line[0] in "、。" for cue in cues for line in cue.lines)


def test_words_that_say_something_else_than_the_segment_are_not_used() -> None:
    made = together(spoken(0, "one two"), spoken(1, "three"))
    wrong = msgspec.structs.replace(made.words[0], word=" wrong")
    made = transcript(list(made.segments), [wrong, *made.words[1:]])
    assert [cue.lines for cue in srt(made)] == [["one two"], ["three"]]
    unspaced = [Word(start=0, end=1, word="one"), Word(start=1, end=2, word="two")]
    made = transcript([Segment(start=0, end=2, text="one two")], unspaced)
    assert [cue.lines for cue in srt(made)] == [["one two"]]


def test_text_has_paragraphs_at_pauses() -> None:
    made = together(spoken(0, "One."), spoken(1, "Two."), spoken(3.4, "Three."))
    assert written("txt", made) == b"One. Two.\n\nThree.\n"


token = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z", "M")), min_size=1, max_size=50)
times = st.floats(0, 40000)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    segments, words = [], []
    for _ in range(draw(st.integers(0, 5))):
        start, end = draw(times), draw(times)
        tokens = draw(st.lists(token, max_size=30))
        speaker = draw(st.sampled_from([msgspec.UNSET, "SPEAKER_00", "SPEAKER_01"]))
        segments.append(Segment(start=start, end=end, text=" ".join(tokens), speaker=speaker))
        if draw(st.booleans()):
            for one in tokens:
                at = draw(times)
                words.append(Word(start=at, end=at + draw(st.floats(0, 9)), word=f" {one}"))
    return transcript(segments, words)


CUES: list[tuple[Callable[[Transcript], list[Cue]], SpeakerLabels]] = [(srt, "auto"), (vtt, "none")]


@given(transcripts())
def test_all_is_kept_in_cues_that_fit_and_follow_each_other(made: Transcript) -> None:
    for read, labels in CUES:
        shown = [
            Cue(one.start, one.end, list(one.lines), one.speaker) for one in cues(made, labels)
        ]
        check(shown)
        for speaker in ("", "SPEAKER_00", "SPEAKER_01"):
            own = [segment for segment in made.segments if (segment.speaker or "") == speaker]
            text = "".join("".join(cue.lines) for cue in shown if cue.speaker == speaker)
            text = re.sub(r"SPEAKER_0[01]:", "", "".join(text.split()))
            assert text == "".join("".join(segment.text.split()) for segment in own)
        if read is srt:
            expected = [
                cue._replace(lines=[line.replace("-->", "→") for line in cue.lines], speaker="")
                for cue in shown
            ]
        else:
            expected = [
                cue._replace(lines=[line.replace("\0", "\ufffd") for line in cue.lines])
                for cue in shown
            ]
        assert read(made) == expected


@st.composite
def talks(draw: st.DrawFn) -> Transcript:
    """People who each speak in order, but at once with others, as by channels."""
    parts = []
    for speaker in ["", "A", "B"][: draw(st.integers(1, 3))]:
        at = 0.0
        for _ in range(draw(st.integers(1, 4))):
            at += draw(st.integers(0, 5))
            pace, count = draw(st.sampled_from([0.1, 0.5, 1.5])), draw(st.integers(1, 40))
            text = " ".join(f"w{number}," for number in range(count))
            parts.append(spoken(at, text, pace=pace, speaker=speaker))
            at = parts[-1].duration
    return together(*sorted(parts, key=lambda part: part.segments[0].start))


@given(talks())
def test_each_cue_is_shown_when_its_words_are_said(made: Transcript) -> None:
    shown = vtt(made)
    check(shown)
    for speaker in {cue.speaker for cue in shown}:
        own = [cue for cue in shown if cue.speaker == speaker]
        told = spelled(made.segments, made.words)
        words = iter([word for part, of in told if (part.speaker or "") == speaker for word in of])
        for cue, after in zip(own, [*own[1:], None], strict=True):
            texts = " ".join(cue.lines).split()
            its = [next(words) for _ in texts]
            assert [word.word.strip() for word in its] == texts
            room = made.duration * 1000 if after is None else after.start
            end = max(its[-1].end * 1000, min(cue.start + 800, room))
            assert (cue.start, cue.end) == (round(its[0].start * 1000), round(end))
        assert next(words, None) is None


@given(transcripts())
def test_text_keeps_all_words(made: Transcript) -> None:
    data = written("txt", made).decode()
    kept = [word for word in data.split() if not re.fullmatch(r"SPEAKER_0[01]:", word)]
    assert kept == [word for segment in made.segments for word in segment.text.split()]
    assert "\n\n\n" not in data


def test_rttm_has_a_line_a_turn_with_blanks_in_no_field() -> None:
    talk = spoken(1.0, "one two", speaker="SPEAKER_00")
    line = b"SPEAKER talk 1 1.000 0.800 <NA> <NA> %s <NA> <NA>\n"
    assert written("rttm", talk) == line % b"SPEAKER_00"
    named = msgspec.structs.replace(
        talk,
        turns=(
            Turn(start=1.0, end=1.8, speaker="SPEAKER_00"),
            Turn(start=1.0, end=1.8, speaker="SPEAKER_01"),
        ),
        speakers=(Speaker(label="SPEAKER_00", name="Ada Lovelace"),),
    )
    assert written("rttm", named) == line % b"Ada_Lovelace" + line % b"SPEAKER_01"
    assert written("rttm", spoken(1.0, "one two")) == b""
