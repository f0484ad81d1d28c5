"""Recordings with their text, joined into long ones."""

from __future__ import annotations

import json
import math
import wave
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from bench import WORK
from faster_whisper import decode_audio

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RATE = 16_000
# How they are joined: minutes of speech at most, and the shortest and longest pause in seconds.
FORMS = {"dense": (4, 0.0, 0.0), "pauses": (8, 0.3, 2.0), "long pauses": (3, 3.0, 40.0)}
MOST = 6  # times that a recording comes in one form
ENOUGH = 20  # seconds of a language: with less, its recordings are joined once, with pauses


@dataclass(frozen=True)
class Sound:
    """A recording to measure with."""

    name: str
    path: Path
    language: str
    text: str  # what is said in it


@dataclass(frozen=True)
class Voice:
    """One recording of a folder, decoded."""

    samples: np.ndarray
    language: str
    text: str


def read(folders: Iterable[Path]) -> list[Voice]:
    """The recordings that each folder's `voices.json` lists."""
    found = []
    for folder in folders:
        listed: list[dict[str, Any]] = json.loads((folder / "voices.json").read_text())
        for one in listed:
            samples = decode_audio(str(folder / one["file"]), RATE)
            found.append(Voice(samples, one["language"], one["text"]))
    return found


def long(voices: list[Voice]) -> list[Sound]:
    """The forms of each language."""
    sounds = []
    for language in sorted({voice.language for voice in voices}):
        ours = [voice for voice in voices if voice.language == language]
        seconds = sum(len(voice.samples) for voice in ours) / RATE
        for name in FORMS if seconds >= ENOUGH else ["pauses"]:
            minutes, low, high = FORMS[name]
            times = min(MOST, math.ceil(minutes * 60 / seconds)) if seconds >= ENOUGH else 1
            sounds.append(joined(f"{language}, {name}", ours, times, low, high))
    return sounds


def joined(name: str, voices: list[Voice], times: int, low: float, high: float) -> Sound:
    """The voices one after the other, `times` times, each time in another order."""
    random = Random(name)
    parts, texts = [], []
    for number in range(times):
        for voice in voices if number == 0 else random.sample(voices, len(voices)):
            pause = np.zeros(round(random.uniform(low, high) * RATE), np.float32)
            parts += [voice.samples, pause]
            texts.append(voice.text)
    return saved(name, np.concatenate(parts), voices[0].language, " ".join(texts))


def saved(name: str, samples: np.ndarray, language: str, text: str, rate: int = RATE) -> Sound:
    """The samples as a file."""
    path = WORK / "faith" / f"{name.replace(', ', '-').replace(' ', '-')}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return Sound(name, path, language, text)
