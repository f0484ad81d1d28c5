"""The canonical transcript (schema 1), and how blocks become one. Pure functions.

All times are seconds from the start of the recording, as float.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_SPEECH = "no speech was found"  # the warning of a transcript without text

Suspicion = Literal["low_confidence", "repetitive", "maybe_silence"]


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
    suspect: tuple[Suspicion, ...] | UnsetType = UNSET


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a recording, cut at silences, and what was said in it: a checkpoint."""

    number: int  # from 0
    start: float
    end: float
    speech: float  # seconds of speech in it
    language: str | None  # None while nothing was said
    language_probability: float | None
    prompt: str  # the tail of the text, which the next block is prompted with
    segments: tuple[Segment, ...]
    words: tuple[Word, ...]


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
    engine: EngineInfo
    source: SourceInfo
    stats: Stats
    warnings: tuple[str, ...] = ()


def assemble(
    blocks: Iterable[Block],
    *,
    duration: float,
    engine: EngineInfo,
    source: SourceInfo,
    processing_seconds: float,
    warnings: Iterable[str],
) -> Transcript:
    """Join the blocks of a whole recording, in their order.

    A recording without speech gives an empty transcript that says so in its warnings.
    """
    segments: list[Segment] = []
    words: list[Word] = []
    speech = 0.0
    language = probability = None
    for block in blocks:
        for segment in block.segments:
            id_ = f"seg_{len(segments) + 1:06d}"
            segments.append(msgspec.structs.replace(segment, id=id_))
        words += block.words
        speech += block.speech
        if language is None and block.language is not None:
            language, probability = block.language, block.language_probability
    text = " ".join(part for segment in segments if (part := segment.text.strip()))
    return Transcript(
        text=text,
        language=language,
        language_probability=probability,
        duration=duration,
        speech_duration=round(speech, 3),
        segments=tuple(segments),
        words=tuple(words),
        engine=engine,
        source=source,
        stats=Stats(
            words=len(words) or len(text.split()),
            processing_seconds=round(processing_seconds, 3),
            real_time_factor=round(processing_seconds / duration, 4) if duration > 0 else None,
            confidence=_confidence(words),
        ),
        warnings=tuple(dict.fromkeys(warnings if text else (*warnings, NO_SPEECH))),
    )


def _confidence(words: Iterable[Word]) -> float | None:
    known = [word.probability for word in words if word.probability is not None]
    return round(math.fsum(known) / len(known), 4) if known else None


def encode(transcript: Transcript) -> bytes:
    """Write the canonical JSON: keys as declared, each segment and each word on a line.

    The same transcript always gives the same bytes.

    Raises:
        ValueError: a number is not finite, which JSON can't say.
    """
    for part in chain([transcript, transcript.stats], transcript.segments, transcript.words):
        for name, value in zip(part.__struct_fields__, msgspec.structs.astuple(part), strict=True):
            if isinstance(value, float) and not math.isfinite(value):
                kind = type(part).__name__.lower()
                raise ValueError(f"{name} of a {kind} is {value}: not a finite number")
    lines = []
    for name in transcript.__struct_fields__:
        value = getattr(transcript, name)
        if name in ("segments", "words") and value:
            rows = b",\n    ".join(map(msgspec.json.encode, value))
            encoded = b"[\n    " + rows + b"\n  ]"
        else:
            encoded = msgspec.json.encode(value)
        lines.append(b'  "%s": %s' % (name.encode(), encoded))
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def decode(data: bytes) -> Transcript:
    """Read a canonical transcript; keys that a later version added are passed over.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=Transcript)
    except ValueError as error:  # of msgspec, or of the UTF-8 decoder
        raise ValueError(f"not a transcript of schema 1: {error}") from error
