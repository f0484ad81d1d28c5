"""The canonical transcript (schema 1), and how blocks become one. Pure functions.

All times are seconds from the start of the recording, as float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

NO_SPEECH = "no speech was found"  # the warning of a transcript without text
# The warning of a transcript that is published before its speakers are known.
PENDING = "the speakers are not told apart yet: this transcript is replaced when they are"
SURE = 0.5  # probability of the language; below, the reader is told

LINES = ("segments", "words", "gaps", "turns", "speakers")  # a line for each in the JSON

Suspicion = Literal["low_confidence", "repetitive", "too_fast", "maybe_silence", "phantom"]
Why = Literal["no_words", "phantom"]


class Word(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A word, with its leading space as Whisper gives it."""

    start: float
    end: float
    word: str
    probability: float | None = None
    speaker: str | UnsetType = UNSET


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A phrase of the transcript. Figures that an engine does not have are null."""

    id: str = ""
    start: float
    end: float
    speaker: str | UnsetType = UNSET
    text: str
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    language: str | UnsetType = UNSET
    suspect: tuple[Suspicion, ...] | UnsetType = UNSET
    overlap: Literal[True] | UnsetType = UNSET  # others speak meanwhile


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch where speech was heard, or words were written, that the text does not have."""

    start: float
    end: float
    why: Why


class Turn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stretch in which somebody speaks; those of different people may overlap."""

    start: float
    end: float
    speaker: str


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who speaks in a recording, and whose name or channel is known."""

    label: str
    name: str | UnsetType = UNSET
    channel: int | UnsetType = UNSET  # from 1; where each channel is a speaker


class Diarization(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks when, whatever is said; labels are SPEAKER_00 and so on, by first speech."""

    model: str
    revision: str = ""  # "" when it is not known
    device: str
    turns: tuple[Turn, ...]  # by their starts
    exclusive: tuple[Turn, ...]  # the same, but nobody speaks at the same time as another
    embeddings: dict[str, tuple[float, ...]]  # label -> its voice; none for a label without
    fallbacks: tuple[str, ...] = ()  # what it was made with less of, since memory ran out
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0  # that the work took


class BlockResult(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a recording, cut at silences, and what was said in it: a checkpoint."""

    number: int  # from 0
    start: float
    end: float
    speech: float  # seconds of speech in it
    language: str | None  # None while nothing was said
    language_probability: float | None
    segments: tuple[Segment, ...]
    words: tuple[Word, ...]
    gaps: tuple[Gap, ...] = ()


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The recording that a transcript is of."""

    name: str
    sha256: str
    size: int  # bytes
    container: str
    codec: str
    channels: int


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What made a transcript: not what was asked for, but what was used."""

    provider: str
    model: str
    revision: str | UnsetType = UNSET
    device: str
    compute_type: str
    diarization_model: str | UnsetType = UNSET
    fallbacks: tuple[str, ...] = ()


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Figures about a transcript and the work that made it."""

    words: int
    processing_seconds: float
    real_time_factor: float | None
    confidence: float | None  # mean probability of the words, 0 to 1


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """Schema 1 of the canonical transcript."""

    schema: Literal[1] = 1
    text: str
    language: str | None
    language_probability: float | None
    duration: float
    speech_duration: float
    segments: tuple[Segment, ...]
    words: tuple[Word, ...]
    gaps: tuple[Gap, ...] | UnsetType = UNSET
    turns: tuple[Turn, ...] | UnsetType = UNSET
    speakers: tuple[Speaker, ...] | UnsetType = UNSET
    engine: EngineInfo
    source: SourceInfo
    stats: Stats
    warnings: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript that is never in memory as a whole: a day of speech is as large as an hour.

    Its segments and words can be gone through again and again, and are made on the way.
    """

    schema: Literal[1] = 1
    language: str | None
    language_probability: float | None
    duration: float
    speech_duration: float
    segments: Iterable[Segment]
    words: Iterable[Word]
    gaps: Iterable[Gap] | UnsetType = UNSET
    turns: Iterable[Turn] | UnsetType = UNSET
    speakers: tuple[Speaker, ...] | UnsetType = UNSET
    engine: EngineInfo
    source: SourceInfo
    stats: Stats
    warnings: tuple[str, ...]

    @property
    def text(self) -> Iterator[str]:
        """All that was said, in parts that make it up when they are joined."""
        space = ""
        for segment in self.segments:
            if text := segment.text.strip():
                yield space + text
                space = " "


def called(text: Transcript | Result) -> dict[str, str]:
    """The names of its speakers: label -> name."""
    if text.speakers is UNSET:
        return {}
    return {one.label: one.name for one in text.speakers if one.name is not UNSET}


class _Segments:
    """The segments of some blocks, numbered."""

    def __init__(self, blocks: Iterable[BlockResult]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Segment]:
        segments = chain.from_iterable(block.segments for block in self._blocks)
        for number, segment in enumerate(segments, 1):
            yield msgspec.structs.replace(segment, id=f"seg_{number:06d}")


class _Gaps:
    """The gaps of some blocks."""

    def __init__(self, blocks: Iterable[BlockResult]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Gap]:
        return chain.from_iterable(block.gaps for block in self._blocks)


class _Words:
    """The words of some blocks."""

    def __init__(self, blocks: Iterable[BlockResult]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Word]:
        return chain.from_iterable(block.words for block in self._blocks)


def assemble(
    blocks: Iterable[BlockResult],
    *,
    duration: float,
    engine: EngineInfo,
    source: SourceInfo,
    processing_seconds: float,
    word_timestamps: bool,
    warnings: Iterable[str],
) -> Result:
    """Join the blocks of a whole recording.

    A recording without speech gives an empty transcript that says so in its warnings.

    Args:
        blocks: in their order; they are gone through several times, so no iterator will do.
        duration: of the recording, in seconds.
        engine: what made them.
        source: the recording.
        processing_seconds: that the work took, all runs together.
        word_timestamps: whether it is to hold the words, too.
        warnings: of the worker; those that are there twice are said once.
    """
    speech, words, spelled, said = 0.0, 0, 0, False
    known, sums = 0, []  # probabilities of words: how many, and the sum of each block's
    gaps, missed = False, list[float]()  # seconds of speech without words, of each gap
    language = probability = None
    for block in blocks:
        texts = [segment.text.split() for segment in block.segments]
        probabilities = [p for word in block.words if (p := word.probability) is not None]
        speech += block.speech
        words += len(block.words)
        spelled += sum(map(len, texts))
        said = said or any(texts)
        known += len(probabilities)
        sums.append(math.fsum(probabilities))
        gaps = gaps or bool(block.gaps)
        missed += (gap.end - gap.start for gap in block.gaps if gap.why == "no_words")
        if language is None or (block.language_probability or 0.0) > (probability or 0.0):
            language, probability = block.language, block.language_probability
    if not said:
        language = probability = None
    return Result(
        language=language,
        language_probability=probability,
        duration=duration,
        speech_duration=round(speech, 3),
        segments=_Segments(blocks),
        words=_Words(blocks) if word_timestamps else (),
        gaps=_Gaps(blocks) if gaps else UNSET,
        engine=engine,
        source=source,
        stats=Stats(
            words=words or spelled,
            processing_seconds=round(processing_seconds, 3),
            real_time_factor=round(processing_seconds / duration, 4) if duration > 0 else None,
            confidence=round(math.fsum(sums) / known, 4) if known else None,
        ),
        warnings=tuple(dict.fromkeys((*warnings, *_warnings(language, probability, missed, said)))),
    )


def _warnings(
    language: str | None, probability: float | None, missed: Sequence[float], said: bool
) -> Iterator[str]:
    """What a reader should know of the text."""
    if not said:
        yield NO_SPEECH
    if probability is not None and probability < SURE:
        yield (
            f"the language is not clear: {language} with a probability of {probability:.2f};"
            " set language, or languages to choose from"
        )
    if missed:
        places = "1 place" if len(missed) == 1 else f"{len(missed)} places"
        yield f"{sum(missed):.1f} s of speech have no words, in {places}: see gaps"


def encode(transcript: Transcript | Result) -> Iterator[bytes]:
    """Write the canonical JSON, piece by piece: keys as declared, each segment and word on a line.

    The same transcript always gives the same bytes.

    Raises:
        ValueError: a number is not finite, which JSON can't say.
    """
    for part in (transcript, transcript.stats):
        _require_finite(part)
    start = b"{\n"
    for name in Transcript.__struct_fields__:
        if getattr(transcript, name, None) is UNSET:
            continue
        yield b'%s  "%s": ' % (start, name.encode())
        start = b",\n"
        if name == "text":
            yield b'"'
            parts = (transcript.text,) if isinstance(transcript, Transcript) else transcript.text
            for text in parts:
                yield msgspec.json.encode(text)[1:-1]
            yield b'"'
        elif name in LINES:
            yield from _lines(getattr(transcript, name))
        else:
            yield msgspec.json.encode(getattr(transcript, name))
    yield b"\n}\n"


def _lines(parts: Iterable[Segment | Word | Gap | Turn | Speaker]) -> Iterator[bytes]:
    start = b"[\n    "
    for part in parts:
        _require_finite(part)
        yield start + msgspec.json.encode(part)
        start = b",\n    "
    yield b"[]" if start == b"[\n    " else b"\n  ]"


def _require_finite(
    part: Transcript | Result | Stats | Segment | Word | Gap | Turn | Speaker,
) -> None:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, float) and not math.isfinite(value):
            kind = "transcript" if isinstance(part, Result) else type(part).__name__.lower()
            raise ValueError(f"{name} of a {kind} is {value}: not a finite number")


def decode(data: bytes) -> Transcript:
    """Read a canonical transcript; keys that a later version added are passed over.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=Transcript)
    except ValueError as error:  # of msgspec, or of the UTF-8 decoder
        raise ValueError(f"not a transcript of schema 1: {error}") from error
