from __future__ import annotations

import json
import math
import re
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriberrd.transcript import (
    NO_SPEECH,
    Block,
    EngineInfo,
    Segment,
    SourceInfo,
    Stats,
    Transcript,
    Word,
    assemble,
    decode,
    encode,
)

ENGINE = EngineInfo(provider="test", model="none", device="cpu", compute_type="int8")
SOURCE = SourceInfo(
    name="talk.wav", sha256="0" * 64, size=1, container="wav", codec="pcm_s16le", channels=1
)


def segment(start: float, end: float, text: str) -> Segment:
    return Segment(start=start, end=end, text=text)


def block(number: int, *segments: Segment, language: str | None = "en", **more: object) -> Block:
    fields: dict = {
        "number": number,
        "start": 300.0 * number,
        "end": 300.0 * (number + 1),
        "speech": sum(one.end - one.start for one in segments),
        "language": language if segments else None,
        "language_probability": 0.9 if segments else None,
        "prompt": "",
        "segments": segments,
        "words": (),
    }
    return Block(**fields | more)


def join(*blocks: Block, duration: float = 600.0, warnings: tuple[str, ...] = ()) -> Transcript:
    return assemble(
        blocks,
        duration=duration,
        engine=ENGINE,
        source=SOURCE,
        processing_seconds=60.0,
        warnings=warnings,
    )


def test_blocks_are_joined_in_order() -> None:
    transcript = join(
        block(0),
        block(1, segment(300, 302, " Guten Tag."), segment(303, 304, " "), language="de"),
        block(2, segment(601, 602.5, "Good day."), language="en"),
    )
    assert transcript.text == "Guten Tag. Good day."
    assert [s.id for s in transcript.segments] == ["seg_000001", "seg_000002", "seg_000003"]
    assert (transcript.language, transcript.language_probability) == ("de", 0.9)
    assert transcript.speech_duration == 4.5
    expected = Stats(words=4, processing_seconds=60.0, real_time_factor=0.1, confidence=None)
    assert transcript.stats == expected
    assert transcript.warnings == ()


def test_words_are_counted_and_weighed() -> None:
    words = (
        Word(start=0, end=1, word=" a", probability=0.5),
        Word(start=1, end=2, word=" b", probability=1.0),
        Word(start=2, end=3, word=" c"),
    )
    transcript = join(block(0, segment(0, 3, " a b c"), words=words))
    assert transcript.words == words
    assert (transcript.stats.words, transcript.stats.confidence) == (3, 0.75)


def test_silence_is_a_result() -> None:
    transcript = join(block(0), warnings=("the file ends early", "the file ends early"))
    assert transcript.text == ""
    assert transcript.language is None
    assert transcript.warnings == ("the file ends early", NO_SPEECH)
    raw = json.loads(encode(transcript))
    assert (raw["segments"], raw["words"]) == ([], [])
    assert decode(encode(transcript)) == transcript


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
    transcript = msgspec.structs.replace(empty, segments=tuple(segments), words=tuple(words))
    data = encode(transcript)
    assert decode(data) == transcript
    assert encode(decode(data)) == data
    assert data.endswith(b"}\n")


def test_the_canonical_json_has_the_declared_order_and_a_line_for_each_part() -> None:
    data = encode(join(block(0, segment(0, 1, "eins"), segment(1, 2, "zwei"))))
    assert list(json.loads(data)) == list(Transcript.__struct_fields__)
    assert len(re.findall(rb'^    \{"id":"seg_\d{6}",.*\},?$', data, re.MULTILINE)) == 2
    assert b"speaker" not in data


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_say_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match=r"end of a segment is .*: not a finite number"):
        encode(join(block(0, segment(0, number, "x"), speech=1.0)))
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


def test_ten_hours_stay_small() -> None:
    def hours() -> list[Block]:
        return [
            block(
                n,
                *(segment(n * 300 + i, n * 300 + i + 1, " word" * 8) for i in range(94)),
                words=tuple(
                    Word(start=n * 300 + i * 0.4, end=n * 300 + i, word=" word", probability=0.5)
                    for i in range(750)
                ),
            )
            for n in range(120)
        ]

    blocks = hours()
    tracemalloc.start()
    data = encode(join(*blocks, duration=36000.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert data.count(b" word") > 90_000
    assert peak < 6 * len(data) < 120e6
