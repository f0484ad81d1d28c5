"""Sound without speech, and speech that is hard to hear."""

from __future__ import annotations

import numpy as np
from voices import RATE, Sound, Voice, saved

ALONE = 60  # seconds of a sound without speech
SILENCE = 300  # seconds between two pieces of speech
SPEECH = 60  # seconds, about


def sounds(voices: list[Voice]) -> list[Sound]:
    """All of them, made with the English voices."""
    english = [voice for voice in voices if voice.language == "en"]
    seconds = np.cumsum([len(voice.samples) / RATE for voice in english])
    english = english[: int(np.searchsorted(seconds, SPEECH)) + 1]
    text = " ".join(voice.text for voice in english)
    speech = _speech(english)
    noise = np.random.default_rng(1)
    found = [
        saved(name, samples, "en", "")
        for name, samples in {
            "silence": np.zeros(ALONE * RATE),
            "hum": _hum(),
            "noise": 0.03 * noise.standard_normal(ALONE * RATE),
            "tones": _tones(),
        }.items()
    ]
    pause = np.zeros(SILENCE * RATE)
    loud = float(np.sqrt(np.mean(speech**2)))
    hissing = speech + loud * 10 ** (-10 / 20) * noise.standard_normal(len(speech))
    found.append(
        saved("5 minutes apart", np.concatenate([speech, pause, speech]), "en", f"{text} {text}")
    )
    for name, samples, rate in (
        ("as it is", speech, RATE),
        ("at -40 dB", speech / np.abs(speech).max() / 100, RATE),
        ("telephone", _telephone(speech), 8000),
        ("10 dB of noise", hissing, RATE),
        ("clipped", np.clip(speech / np.abs(speech).max() * 20, -1, 1), RATE),
    ):
        found.append(saved(name, samples, "en", text, rate))
    return found


def _speech(voices: list[Voice]) -> np.ndarray:
    pause = np.zeros(RATE // 2, np.float32)
    return np.concatenate([part for voice in voices for part in (voice.samples, pause)])


def _hum() -> np.ndarray:
    at = np.arange(ALONE * RATE) / RATE
    return sum(0.1 / n * np.sin(2 * np.pi * 50 * n * at) for n in (1, 2, 3, 4, 6))


def _tones() -> np.ndarray:
    """Chords that fade, four of them again and again."""
    at = np.arange(RATE) / RATE
    chords = [(262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294)]
    played = [sum(np.sin(2 * np.pi * f * at) for f in chord) * np.exp(-2 * at) for chord in chords]
    return 0.2 * np.concatenate(played * (ALONE // len(chords)))


def _telephone(samples: np.ndarray) -> np.ndarray:
    """300 to 3400 Hz, 8 kHz, the steps of mu-law."""
    spectrum, low, high = np.fft.rfft(samples), 300, 3400
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    narrow = np.fft.irfft(spectrum, len(samples))[::2]
    steps = np.round(127 * np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)) / 127
    return np.sign(steps) * (256 ** np.abs(steps) - 1) / 255
