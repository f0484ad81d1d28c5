"""What is wrong with what was heard."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from faster_whisper import decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps
from rapidfuzz.distance import Levenshtein

if TYPE_CHECKING:
    from systems import Heard
    from voices import Sound

RATE = 16_000
HOLE = 1.0  # seconds of speech without a word
LONGEST_WORD = 1.5  # seconds; what a word's times cover beyond is not a word
NEAR = 0.2  # seconds around a word that count as covered: its times are not exact
LOST = 5  # words of the true text in a row
LOOP = 4  # times that the same words follow each other
LONGEST_LOOP = 8  # words
SPACELESS = {"ja", "km", "lo", "my", "th", "yue", "zh"}  # scripts without spaces

ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


@dataclass(frozen=True)
class Figures:
    """What one system made of one sound. Times in seconds."""

    words: int  # in the true text; characters in scripts without spaces
    errors: int  # words that are wrong, missing or invented
    missing: int
    invented: int
    lost: int  # missing words of which five or more follow each other
    holes: list[tuple[float, float]]  # speech without words that is not listed
    gaps: list[tuple[float, float]]  # that are listed
    loops: int  # that are not in the true text
    late: tuple[float, float] | None  # word starts beside the other's: median, 95 %
    pointless: int  # words of no length
    longest: float  # segment


def measure(sound: Sound, heard: Heard, beside: Heard | None) -> Figures:
    """The figures; word times are compared with those of `beside`."""
    true, found = units(sound.text, sound.language), units(heard.text, sound.language)
    steps = Levenshtein.editops(true, found)
    kinds = [step.tag for step in steps]
    return Figures(
        words=len(true),
        errors=len(kinds),
        missing=kinds.count("delete"),
        invented=kinds.count("insert"),
        lost=_in_a_row([step.src_pos for step in steps if step.tag == "delete"]),
        holes=holes(sound, heard),
        gaps=heard.gaps,
        loops=max(0, loops(found) - loops(true)),
        late=_late(heard, beside) if beside else None,
        pointless=sum(end <= start for start, end, _ in heard.words),
        longest=max((end - start for start, end in heard.segments), default=0.0),
    )


def units(text: str, language: str) -> list[str]:
    """The words as they are compared: lower case, no punctuation, English numbers spelled out."""
    text = re.sub(r"['\u2019\u02bc]", "", unicodedata.normalize("NFKC", text).lower())
    text = "".join(mark if unicodedata.category(mark)[0] in "LMN" else " " for mark in text)
    if language in SPACELESS:
        return list(text.replace(" ", ""))
    if language == "en":
        text = re.sub(r"\d+", lambda digits: _spelled(digits[0]), text)
    return text.split()


def _spelled(digits: str) -> str:
    if len(digits) == 4 and digits[0] == "1" and digits[2:] != "00":  # read as a year
        return f"{_spelled(digits[:2])} {_spelled(digits[2:])}"
    number = int(digits)
    if number >= 1_000_000:
        return " ".join(ONES[int(digit)] for digit in digits)
    if number >= 1000:
        rest = f" {_spelled(str(number % 1000))}" if number % 1000 else ""
        return f"{_spelled(str(number // 1000))} thousand{rest}"
    if number >= 100:
        rest = f" and {_spelled(str(number % 100))}" if number % 100 else ""
        return f"{ONES[number // 100]} hundred{rest}"
    if number >= 20:
        return f"{TENS[number // 10 - 2]} {ONES[number % 10] if number % 10 else ''}".strip()
    return ONES[number]


def holes(sound: Sound, heard: Heard) -> list[tuple[float, float]]:
    """Where the detector hears speech for a second or more, and there is no word and no gap."""
    samples = decode_audio(str(sound.path), RATE)
    options = VadOptions(min_silence_duration_ms=100, speech_pad_ms=0)
    covered = [(a - NEAR, min(b, a + LONGEST_WORD) + NEAR) for a, b, _ in heard.words] + heard.gaps
    found = []
    for spoken in get_speech_timestamps(samples, options):
        at, end = spoken["start"] / RATE, spoken["end"] / RATE
        for first, last in [*sorted(c for c in covered if c[1] > at and c[0] < end), (end, end)]:
            if first - at >= HOLE:
                found.append((round(at, 2), round(first, 2)))
            at = max(at, last)
    return found


def loops(words: list[str]) -> int:
    """How often the same words come four times or more in a row."""
    found, at = 0, 0
    while at < len(words):
        lengths = range(1, LONGEST_LOOP + 1)
        ends = [_end(words, at, length) for length in lengths]
        repeated = [
            end for length, end in zip(lengths, ends, strict=True) if end - at >= LOOP * length
        ]
        found += bool(repeated)
        at = max(repeated, default=at + 1)
    return found


def _end(words: list[str], at: int, length: int) -> int:
    """Where the first `length` words at this place stop to be repeated."""
    end = at + length
    while words[end : end + length] == words[at : at + length]:
        end += length
    return end


def _in_a_row(places: list[int]) -> int:
    starts = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(places)) if b != a + 1), len(places)]
    return sum(b - a for a, b in pairwise(starts) if b - a >= LOST)


def _late(heard: Heard, beside: Heard) -> tuple[float, float] | None:
    """How far apart the starts of the words are that both have."""
    words = [[(start, units(word, "")) for start, _, word in one.words] for one in (beside, heard)]
    theirs, ours = [[(at, "".join(said)) for at, said in one if said] for one in words]
    blocks = Levenshtein.opcodes([word for _, word in theirs], [word for _, word in ours])
    apart = [
        abs(theirs[block.src_start + n][0] - ours[block.dest_start + n][0])
        for block in blocks
        if block.tag == "equal"
        for n in range(block.src_end - block.src_start)
    ]
    if not apart:
        return None
    median, high = np.percentile(apart, [50, 95])
    return round(float(median), 3), round(float(high), 3)
