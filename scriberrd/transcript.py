"""The canonical transcript (schema 1), what it is made of, and its JSON. Pure.

All times are seconds from the start of the recording, as float.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")

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


class Again(Generic[T]):
    """What is made on the way, and from the first on whenever it is asked for."""

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[T]:
        return self._make()


def called(text: Transcript | Result) -> dict[str, str]:
    """The names of its speakers: label -> name."""
    if text.speakers is UNSET:
        return {}
    return {one.label: one.name for one in text.speakers if one.name is not UNSET}


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
