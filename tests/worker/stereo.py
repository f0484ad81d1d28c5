"""Recordings with one voice a channel, made from the dialogue of test-audio."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from child import AUDIO
from faster_whisper.audio import decode_audio
from odd_sound import encoded

from scriberrd.worker.audio import RATE, Samples

if TYPE_CHECKING:
    from pathlib import Path

NAME = "dialogue.opus"
AROUND = 0.15  # seconds of sound around a turn
TURNS: list[dict[str, Any]] = json.loads((AUDIO / "expected.json").read_text())[NAME]["turns"]
VOICES = sorted({turn["voice"] for turn in TURNS})


def mono(seconds: float) -> Samples:
    """The beginning of the dialogue, as it is."""
    return decode_audio(str(AUDIO / NAME))[: round(seconds * RATE)]


def apart(seconds: float) -> Samples:
    """The beginning of the dialogue with one voice a channel, in the order of VOICES."""
    whole = mono(seconds)
    sound = np.zeros((len(VOICES), len(whole)), np.float32)
    for turn in turns(seconds):
        first, last = round((turn["start"] - AROUND) * RATE), round((turn["end"] + AROUND) * RATE)
        here = slice(max(0, first), last)
        sound[VOICES.index(turn["voice"]), here] = whole[here]
    return sound


def turns(seconds: float) -> list[dict[str, Any]]:
    """What is said there."""
    return [turn for turn in TURNS if turn["end"] <= seconds]


def bleeding(sound: Samples, share: float, delay: float = 0.01) -> Samples:
    """The same where each microphone hears the other's voice: so much of it, so much later."""
    return sound + share * np.roll(sound[::-1], round(delay * RATE), axis=1)


def write(file: Path, sound: Samples) -> Path:
    """A recording of this sound, one row a channel."""
    file.write_bytes(encoded((np.clip(sound, -1, 1) * 32767).astype(np.int16)))
    return file
