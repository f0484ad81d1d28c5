"""How a recording is transcribed: what a profile sets, and what depends on which of it. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator

PriorityName = Literal["urgent", "high", "normal", "low"]
Format = Literal["json", "txt", "srt", "vtt", "rttm"]
SpeakerLabels = Literal["auto", "prefix", "brackets", "none"]
Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
BATCH = 8  # clips that are decoded at once
SMALL = ("tiny", "base", "small")  # models of which main memory bears so many
Speakers = Annotated[int, Meta(ge=0, le=100)]  # 0: not known

# Settings that other words do not follow from: who spoke, and how it is written.
DIARIZATION = (
    *("diarize", "diarizer", "diarization_model", "speakers", "min_speakers", "max_speakers"),
    "max_diarize",
)
RENDERING = ("formats", "show_gaps", "word_timestamps", "speaker_labels")
LATER = ("channels", *DIARIZATION, "speaker_labels")  # that earlier versions did not have


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording is transcribed: a `[profile.NAME]`, and the snapshot that a job carries."""

    engine: str = "faster-whisper"
    model: str = "base"
    fallback_model: str = ""  # when memory does not suffice for the other one
    language: str = "auto"
    languages: tuple[str, ...] = ()  # that "auto" chooses from; () is all
    multilingual: bool = False  # choose for each clip
    task: Literal["transcribe", "translate"] = "transcribe"
    audio_track: Annotated[int, Meta(ge=0, le=1_000_000)] | Literal["default", "speech"] = "default"
    channels: Literal["mix", "split"] = "mix"
    word_timestamps: bool = True
    vad: bool = True
    beam_size: Positive = 5
    batch_size: Positive | Literal["auto"] = "auto"
    context: Literal["none", "carry"] = "none"
    initial_prompt: str = ""
    hotwords: str = ""
    block_seconds: Annotated[float, Meta(ge=5, le=3600)] = 300.0
    show_gaps: bool = False
    diarize: Literal["off", "auto", "required"] = "off"
    diarizer: str = "pyannote"
    diarization_model: str = "pyannote/speaker-diarization-community-1"
    speakers: Speakers = 0
    min_speakers: Speakers = 0
    max_speakers: Speakers = 0
    max_diarize: Annotated[float, Meta(ge=0, le=1_000_000)] = 10800.0  # seconds; 0: no limit
    speaker_labels: SpeakerLabels = "auto"
    formats: tuple[Format, ...] = ("json", "txt", "srt", "vtt")
    priority: PriorityName = "normal"

    def comparable(self) -> Settings:
        """Those that what is said in a recording depends on; the others as if they were alike."""
        return replaced(self, Settings(formats=()), "priority", *RENDERING, *DIARIZATION)

    def clips_at_once(self, device: str) -> int:
        """The largest batch on a device ("cpu", "cuda:0")."""
        if self.batch_size != "auto":
            return self.batch_size
        small = any(name in os.path.basename(self.model) for name in SMALL)
        return BATCH if small or device.startswith("cuda") else 1


def replaced(settings: Settings, other: Settings, *keys: str) -> Settings:
    """The settings, with these keys as they are in the other ones."""
    return msgspec.structs.replace(settings, **{key: getattr(other, key) for key in keys})


def staged(settings: Settings, today: Settings) -> Settings:
    """What a job goes on with that keeps its words: who spoke, and how it is written, are new."""
    return replaced(settings, today, "priority", *DIARIZATION, *RENDERING)


def conflicts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each key that can't have its value beside those of others, and why."""
    low, high, exact = settings.min_speakers, settings.max_speakers, settings.speakers
    if settings.channels == "split" and settings.diarize != "off":
        yield "diarize", 'channels = "split" tells the speakers apart already; set one of the two'
    if high and low > high:
        yield "min_speakers", f"{low} is more than max_speakers, {high}"
    if exact and exact < low:
        yield "speakers", f"{exact} is less than min_speakers, {low}"
    if exact and high and exact > high:
        yield "speakers", f"{exact} is more than max_speakers, {high}"
