"""The canonical transcript (schema 1), and how blocks become one. Pure functions.

All times are seconds from the start of the recording, as float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

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
