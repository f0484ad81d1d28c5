"""Real people, what they say, and recordings made of them."""

from __future__ import annotations

import re
import wave
from typing import TYPE_CHECKING

import numpy as np
from faster_whisper.audio import decode_audio
from fetch import VOICES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RATE = 16_000
TEXTS = {
    "two_cities.wav": "It was the best of times, it was the worst of times, it was the age of"
    " wisdom, it was the age of foolishness, it was the epoch of belief, it was the epoch of"
    " incredulity, it was the season of Light, it was the season of Darkness, it was the spring of"
    " hope, it was the winter of despair, we had everything before us, we had nothing before us, we"
    " were all going direct to Heaven, we were all going direct the other way--in short, the period"
    " was so far like the present period, that some of its noisiest authorities insisted on its"
    " being received, for good or for evil, in the superlative degree of comparison only.",
    "beckett.wav": "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.",
    "main.flac": "Six spoons of fresh snow peas, five thick slabs of blue cheese, and maybe a"
    " snack for her brother Bob.",
    "town.flac": "The difference in the rainbow depends considerably upon the size of the drops,"
    " and the width of the colored band increases as the size of the drops increases.",
}


def recording(folder: Path, parts: Iterable[str | float]) -> tuple[Path, list[str]]:
    """Voices by their file's name, and seconds of silence, one after the other; all words."""
    sound, said = [], []
    for part in parts:
        if isinstance(part, str):
            sound.append(decode_audio(str(VOICES / part), RATE))
            said += words(TEXTS[part])
        else:
            sound.append(np.zeros(round(part * RATE), np.float32))
    path = folder / "recording.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.concatenate(sound) * 32767).astype("<i2").tobytes())
    return path, said


def words(text: str) -> list[str]:
    """Lower case, without punctuation; the spelling and the numbers of this text are known."""
    text = text.lower().replace("coloured", "colored").replace("6 ", "six ").replace("5 ", "five ")
    return re.findall(r"[a-z]+", text)


def turns() -> list[tuple[float, float]]:
    """When somebody speaks in sample.wav."""
    lines = [line.split() for line in (VOICES / "sample.rttm").read_text().splitlines()]
    return [(float(line[3]), float(line[3]) + float(line[4])) for line in lines]
