"""Recordings to measure with, all made of the dialogue in test-audio/."""

from __future__ import annotations

import json
from itertools import chain, pairwise
from random import Random
from typing import TYPE_CHECKING

import av
import numpy as np
from bench import HERE, WORK
from faster_whisper import decode_audio

if TYPE_CHECKING:
    from pathlib import Path

AUDIO = HERE.parent.parent / "test-audio"
DIALOGUE = AUDIO / "dialogue.opus"
RATE = 16_000
CODECS = {"opus": "libopus", "mp3": "libmp3lame", "flac": "flac", "m4a": "aac"}
TURNS = json.loads((AUDIO / "expected.json").read_text())["dialogue.opus"]["turns"]
PACKET = 0.02  # seconds of Opus


def long(minutes: int) -> tuple[Path, str]:
    """The turns of the dialogue again and again, each time shuffled, and what is said in them.

    Nothing is encoded again: the packets of each turn are put into another order. The same order
    again and again would repeat every mistake of the model.
    """
    random = Random(minutes)
    path, order = WORK / f"{minutes}-minutes.opus", []
    for _ in range(minutes // 2):
        order += random.sample(range(len(TURNS)), len(TURNS))
    if not path.exists():
        WORK.mkdir(exist_ok=True)
        with av.open(str(DIALOGUE)) as source, av.open(str(path), "w") as target:
            stream = target.add_stream_from_template(source.streams.audio[0])
            packets = [bytes(packet) for packet in source.demux() if packet.size]
            middles = [(a["end"] + b["start"]) / 2 for a, b in pairwise(TURNS)]
            cuts = [0, *(round(at / PACKET) for at in middles), len(packets)]
            parts = [packets[a:b] for a, b in pairwise(cuts)]
            duration = round(PACKET / stream.time_base)
            for number, data in enumerate(chain.from_iterable(parts[turn] for turn in order)):
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, stream.time_base
                packet.pts = packet.dts = number * duration
                packet.duration = duration
                target.mux(packet)
    return path, " ".join(TURNS[turn]["text"] for turn in order)


def folder(count: int) -> list[tuple[Path, str]]:
    """Different parts of the dialogue, 20 to 60 s each, and what is said in them."""
    WORK.mkdir(exist_ok=True)
    samples, found = decode_audio(str(DIALOGUE), RATE), []
    for number in range(count):
        first = number * 5 % 19
        turns = TURNS[first : first + 6 + number % 12]
        extension, codec = list(CODECS.items())[number % len(CODECS)]
        path = WORK / f"part-{number:02}.{extension}"
        if not path.exists():
            start, end = turns[0]["start"] - 0.1, turns[-1]["end"] + 0.1
            _encode(samples[max(0, round(start * RATE)) : round(end * RATE)], path, codec)
        found.append((path, " ".join(turn["text"] for turn in turns)))
    return found


def _encode(samples: np.ndarray, path: Path, codec: str) -> None:
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=RATE, layout="mono")
        stream.bit_rate = 32_000
        whole = np.round(samples * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(whole, "s16", "mono")
        frame.rate, frame.pts = RATE, 0
        target.mux(stream.encode(frame) + stream.encode(None))
