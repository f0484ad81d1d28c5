from __future__ import annotations

import json
import math
import re
import tracemalloc
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from scriberrd import transcript
from scriberrd.assembling import NO_SPEECH, assemble
from scriberrd.output.formats import FORMATS
from scriberrd.transcript import (
    BlockResult,
    EngineInfo,
    Gap,
    Result,
    Segment,
    SourceInfo,
    Stats,
    Transcript,
    Word,
    decode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.settings import Format

ENGINE = EngineInfo(provider="test", model="none", device="cpu", compute_type="int8")
SOURCE = SourceInfo(
    name="talk.wav", sha256="0" * 64, size=1, container="wav", codec="pcm_s16le", channels=1
)


def segment(start: float, end: float, text: str) -> Segment:
    return Segment(start=start, end=end, text=text)


def block(
    number: int, *segments: Segment, language: str | None = "en", **more: object
) -> BlockResult:
    fields: dict = {
        "number": number,
        "start": 300.0 * number,
        "end": 300.0 * (number + 1),
        "speech": sum(one.end - one.start for one in segments),
        "language": language if segments else None,
        "language_probability": 0.9 if segments else None,
        "segments": segments,
        "words": (),
    }
    return BlockResult(**fields | more)


def result(*blocks: BlockResult, duration: float = 600.0, warnings: tuple[str, ...] = ()) -> Result:
    return assemble(
        blocks,
        duration=duration,
        engine=ENGINE,
        source=SOURCE,
        processing_seconds=60.0,
        word_timestamps=True,
        warnings=warnings,
    )


def encode(made: Transcript | Result) -> bytes:
    return b"".join(transcript.encode(made))


def join(*blocks: BlockResult, **more: Any) -> Transcript:
    """The transcript as it is read back."""
    return decode(encode(result(*blocks, **more)))


def test_blocks_are_joined_in_order() -> None:
    made = join(
        block(0),
        block(1, segment(300, 302, " Guten Tag."), segment(303, 304, " "), language="de"),
        block(2, segment(601, 602.5, "Good day."), language="en"),
    )
    assert made.text == "Guten Tag. Good day."
    assert [s.id for s in made.segments] == ["seg_000001", "seg_000002", "seg_000003"]
    assert (made.language, made.language_probability) == ("de", 0.9)
    assert made.speech_duration == 4.5
    expected = Stats(words=4, processing_seconds=60.0, real_time_factor=0.1, confidence=None)
    assert made.stats == expected
    assert made.warnings == ()


def test_words_are_counted_and_weighed() -> None:
    words = (
        Word(start=0, end=1, word=" a", probability=0.5),
        Word(start=1, end=2, word=" b", probability=1.0),
        Word(start=2, end=3, word=" c"),
    )
    made = join(block(0, segment(0, 3, " a b c"), words=words))
    assert made.words == words
    assert (made.stats.words, made.stats.confidence) == (3, 0.75)


def test_gaps_are_kept_and_told() -> None:
    gaps = (Gap(start=1.0, end=3.5, why="no_words"),)
    whole = result(replace(block(0, segment(0, 1, "eins")), gaps=gaps), block(1))
    assert whole.warnings == ("2.5 s of speech have no words, in 1 place: see gaps",)
    assert decode(encode(whole)).gaps == gaps
    assert decode(encode(result(block(0, segment(0, 1, "eins"))))).gaps is UNSET


def test_the_surest_language_counts_and_doubt_is_told() -> None:
    unsure, sure = (
        replace(block(n, segment(n, n + 1, "x")), language=code, language_probability=p)
        for n, (code, p) in enumerate([("el", 0.26), ("es", 0.4)])
    )
    whole = result(unsure, sure)
    assert (whole.language, whole.language_probability) == ("es", 0.4)
    (warning,) = whole.warnings
    assert warning.startswith("the language is not clear: es with a probability of 0.40; set")
    fixed = result(replace(unsure, language="el", language_probability=None))
    assert (fixed.language, fixed.warnings) == ("el", ())


def test_silence_is_a_result() -> None:
    made = join(block(0), warnings=("the file ends early", "the file ends early"))
    assert made.text == ""
    assert made.language is None
    assert made.warnings == ("the file ends early", NO_SPEECH)
    raw = json.loads(encode(made))
    assert (raw["segments"], raw["words"]) == ([], [])
    assert decode(encode(made)) == made


def test_a_recording_without_length_has_no_real_time_factor() -> None:
    assert join(duration=0.0).stats.real_time_factor is None


finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
segments = st.builds(
    Segment,
    start=finite,
    end=finite,
    text=text,
    avg_logprob=st.none() | finite,
    speaker=st.just(msgspec.UNSET) | text,
    suspect=st.just(msgspec.UNSET) | st.just(("repetitive",)),
)
words = st.builds(Word, start=finite, end=finite, word=text, probability=st.none() | finite)


@given(st.lists(segments, max_size=5), st.lists(words, max_size=5))
def test_the_canonical_json_reads_back(segments: list[Segment], words: list[Word]) -> None:
    empty = join(block(0))
    made = msgspec.structs.replace(empty, segments=tuple(segments), words=tuple(words))
    data = encode(made)
    assert decode(data) == made
    assert encode(decode(data)) == data
    assert data.endswith(b"}\n")


def test_the_canonical_json_has_the_declared_order_and_a_line_for_each_part() -> None:
    data = encode(join(block(0, segment(0, 1, "eins"), segment(1, 2, "zwei"))))
    optional = {"gaps", "turns", "speakers"}
    names = [name for name in Transcript.__struct_fields__ if name not in optional]
    assert list(json.loads(data)) == names
    assert len(re.findall(rb'^    \{"id":"seg_\d{6}",.*\},?$', data, re.MULTILINE)) == 2
    assert b"speaker" not in data


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_say_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match=r"end of a segment is .*: not a finite number"):
        encode(result(block(0, segment(0, number, "x"), speech=1.0)))
    with pytest.raises(ValueError, match="duration of a transcript"):
        encode(msgspec.structs.replace(join(), duration=number))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b'{"schema": 2}', b'{"text": "\xff"}', b"null"]
)
def test_what_is_no_transcript_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a transcript of schema 1"):
        decode(data)


def test_a_later_version_may_add_keys() -> None:
    raw = json.loads(encode(join()))
    assert decode(json.dumps(raw | {"chapters": []}).encode()) == join()


class Speech:
    """The blocks of so many minutes of dense speech, made when they are asked for."""

    def __init__(self, minutes: int) -> None:
        self.count = minutes // 5

    def __iter__(self) -> Iterator[BlockResult]:
        for n in range(self.count):
            yield block(
                n,
                *(
                    msgspec.structs.replace(
                        segment(n * 300 + i, n * 300 + i + 1, " word" * 8), speaker=speaker
                    )
                    for i in range(94)
                    for speaker in [f"SPEAKER_0{i % 2}" if n + i else "SPEAKER_02"]
                ),
                words=tuple(
                    Word(start=start, end=start + 0.3, word=" word", probability=0.5)
                    for start in (n * 300 + i * 0.4 for i in range(752))
                ),
            )


@pytest.mark.parametrize("format_", FORMATS)
def test_an_hour_takes_no_more_memory_than_ten_minutes(format_: Format) -> None:
    def peak(minutes: int) -> int:
        facts = {
            "engine": ENGINE,
            "source": SOURCE,
            "processing_seconds": 1.0,
            "word_timestamps": True,
            "warnings": (),
        }
        made = assemble(Speech(minutes), duration=minutes * 60.0, **facts)
        tracemalloc.start()
        size = sum(map(len, FORMATS[format_].render(made)))
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > minutes * 700
        return largest

    peak(60)  # what Python keeps from the first time on is of neither
    assert peak(60) < 1.2 * peak(10)
