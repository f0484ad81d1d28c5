#!/usr/bin/env python3
"""Make the recordings of test-audio/ and their true text, test-audio/expected.json.

    apt-get install flite; pip install av numpy
    python tests/make_audio.py [folder]

flite speaks each sentence and tells when it begins and ends; PyAV encodes.  Nothing is left to
chance: the same flite and the same PyAV give the same files.  All sentences belong to the held-out
part of the small Whisper model's language (tests/models/whisper-flite/sentences.py): the model
understands them but was not trained on them.
"""

import json
import random
import subprocess
import sys
import tempfile
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "models" / "whisper-flite"))
from sentences import split_of  # noqa: E402

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "test-audio"
Samples = npt.NDArray[np.int16]  # one column a channel
Turn = dict[str, Any]
RATE = 16000  # what flite's voices give
PAUSES = (0.3, 0.6, 0.2, 0.9, 0.4)  # seconds between lines, round and round

SENTENCE = "The train to Madrid leaves at twelve twenty."
SPEECH = [
    "Martin will arrive on Thursday in the evening.",
    "The project will be finished in six hours.",
    "I want to travel again with my teacher.",
]
SPEECH_FILES = [  # name, codec, samples and bits a second, note
    ("speech.mp3", "libmp3lame", 44100, 48000, "MP3, 44.1 kHz, mono"),
    ("speech.opus", "libopus", 16000, 24000, "Opus in Ogg, mono"),
    ("speech.m4a", "aac", 48000, 48000, "AAC in MPEG-4, 48 kHz, mono"),
    ("speech.flac", "flac", 16000, 0, "FLAC, 16 kHz, mono"),
    ("speech.webm", "libopus", 48000, 24000, "Opus in WebM, mono"),
    ("speech.mp4", "aac", 48000, 48000, "AAC, 48 kHz, mono, and a picture of 64 x 48 dots"),
]
TRACKS = [  # voice, lines, start in seconds, tags
    (
        "slt",
        [
            "The meeting starts at twelve ten in the morning.",
            "One moment please, I will check the project.",
        ],
        0.0,
        {"title": "First voice", "language": "eng"},
    ),
    (
        "rms",
        [
            "The small phone is on the purple table in the garage.",
            "Peter found a brown jacket in the kitchen.",
        ],
        1.5,
        {"title": "Second voice", "language": "deu"},
    ),
]
STEREO = [  # left, right, left, right
    "Do not forget to move the guitar this week.",
    "Our daughter cleaned the green umbrella last week.",
    "Please call Thomas on Wednesday at six o'clock.",
    "Yes, the school is open until three o'clock.",
]
DIALOGUE = [  # rms, slt, rms, slt ...
    "Hello, my name is Peter and I am a farmer.",
    "We are going to Boston tonight with her daughter.",
    "The train to Berlin leaves at eleven ten.",
    "The train to Dublin leaves at eight thirty.",
    "My flight from London to Sydney was sixteen hours late.",
    "I have been living in Berlin for thirty eight minutes.",
    "How far is it from the library to the hospital?",
    "Turn right at the bank and go straight for two miles.",
    "The next bus to the library arrives in two minutes.",
    "The bank is between the park and the library.",
    "Turn left at the church and go straight for sixty two kilometers.",
    "Where is the nearest office?",
    "We will meet in front of the hospital at ten fifty.",
    "Yes, the hospital is open until seven o'clock.",
    "Can I have the bread with cheese and a glass of milk?",
    "We need four thousand chairs and a bottle of milk.",
    "How much are the blue chairs?",
    "How much are the purple potatoes?",
    "The books cost six dollars.",
    "Where did you find your green bicycle?",
    "The new guitar is on the black table in the kitchen.",
    "Do not forget to open the window next week.",
    "I am sorry, I forgot our guitar.",
    "Anna was tired because the report was large.",
    "Did you read the old budget from Thomas?",
    "The picture about the report is ready.",
    "The report will be finished in seven months.",
    "We should talk about the story next week.",
    "Please call Peter on Saturday at five o'clock.",
    "My room number is zero six three.",
    "The number is six three nine five one.",
    "Thomas and Henry play chess every Monday.",
    "Once upon a time there was a small rabbit in Paris.",
    "Twelve people came to the church last year.",
    "When the bird saw the rabbit, it began to wait again.",
    "The weather in Boston was sunny last week.",
]


def speak(voice: str, text: str) -> tuple[Samples, float, float]:
    """One sentence: (int16 samples, start and end of the speech within them in seconds)."""
    assert split_of(text) == "test", text
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        # -psdur prints the phones with their end times, "pau:0.2 dh:0.27 ..."; "pau" is a pause
        phones = subprocess.run(
            ["flite", "-voice", voice, "-psdur", "-t", text, "-o", f.name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        with wave.open(f.name) as w:
            assert (w.getframerate(), w.getnchannels()) == (RATE, 1)
            samples = np.frombuffer(w.readframes(w.getnframes()), np.int16)
    phones = [(name, float(end)) for name, end in (p.rsplit(":", 1) for p in phones)]
    start = phones[0][1] if phones[0][0] == "pau" else 0.0
    end = phones[-2][1] if phones[-1][0] == "pau" else phones[-1][1]
    return samples, start, end


def talk(
    voices: list[str], lines: list[str], channels: int = 1, begin: float = 0.0
) -> tuple[Samples, list[Turn]]:
    """The lines one after the other, voices and channels in turn; the first sample is at begin."""
    parts: list[Samples] = []
    turns: list[Turn] = []
    for i, text in enumerate(lines):
        samples, start, end = speak(voices[i % len(voices)], text)
        at = begin + sum(map(len, parts)) / RATE
        turns.append(
            {
                "voice": voices[i % len(voices)],
                "text": text,
                "start": round(at + start, 3),
                "end": round(at + end, 3),
            }
        )
        if channels > 1:
            turns[-1]["channel"] = i % channels
        pause = int(PAUSES[i % len(PAUSES)] * RATE) if i < len(lines) - 1 else 0
        parts.append(np.zeros((len(samples) + pause, channels), np.int16))
        parts[-1][: len(samples), i % channels] = samples
    return np.concatenate(parts), turns


def save_wav(name: str, samples: npt.ArrayLike, rate: int = RATE) -> None:
    with wave.open(str(OUT / name), "wb") as w:
        w.setparams((1, 2, rate, 0, "NONE", ""))
        w.writeframes(np.asarray(samples, "<i2").tobytes())


def save(
    name: str,
    codec: str,
    tracks: list[tuple[Samples, float, dict[str, str]]],
    rate: int = RATE,
    bit_rate: int = 24000,
    picture: float = 0,
) -> None:
    """Encode tracks (samples, start in seconds, tags) into the container that the name asks for.

    picture: so many seconds of a tiny video stream.  "bitexact" keeps random ids and dates out.
    """
    packets = []
    with av.open(str(OUT / name), "w", container_options={"fflags": "+bitexact"}) as box:
        for samples, start, tags in tracks:
            layout = "stereo" if samples.shape[1] == 2 else "mono"
            stream = box.add_stream(codec, rate=rate, layout=layout, options={"flags": "+bitexact"})
            stream.bit_rate = bit_rate
            stream.metadata.update(tags)
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", layout)
            frame.rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), int(start * RATE)
            packets += stream.encode(frame) + stream.encode(None)
        if picture:
            stream = box.add_stream("mpeg4", rate=5, options={"flags": "+bitexact"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for i in range(int(picture * 5)):  # a white bar walks over the dark
                image = np.full((48, 64, 3), 40, np.uint8)
                image[:, i % 64] = 255
                packets += stream.encode(av.VideoFrame.from_ndarray(image, "rgb24"))
            packets += stream.encode(None)
        packets = [p for p in packets if p.dts is not None]
        box.mux(sorted(packets, key=lambda p: p.dts * p.time_base))


def main() -> None:
    OUT.mkdir(exist_ok=True)
    expected: dict[str, Any] = {}

    def note(name: str, seconds: float, turns: list[Turn], note: str) -> None:
        text = " ".join(t["text"] for t in turns)
        expected[name] = {"duration": round(seconds, 3), "text": text, "turns": turns, "note": note}

    samples, turns = talk(["slt"], [SENTENCE])
    save_wav("sentence.wav", samples)
    note("sentence.wav", len(samples) / RATE, turns, "one sentence, 16 kHz, mono")

    samples, turns = talk(["rms", "slt"], DIALOGUE)
    save("dialogue.opus", "libopus", [(samples, 0, {})])
    note("dialogue.opus", len(samples) / RATE, turns, "two voices in turn, Opus in Ogg, mono")

    save_wav("silence.wav", np.zeros(3 * 8000), 8000)
    note("silence.wav", 3, [], "digital silence, 8 kHz, mono")
    rng = random.Random(1)
    save_wav("noise.wav", [round(rng.gauss(0, 10)) for _ in range(3 * 8000)], 8000)
    note("noise.wav", 3, [], "faint white noise (-70 dB), 8 kHz, mono")

    samples, turns = talk(["rms"], SPEECH)
    seconds = len(samples) / RATE
    for name, codec, rate, bit_rate, words in SPEECH_FILES:
        picture = seconds if name == "speech.mp4" else 0
        save(name, codec, [(samples, 0, {})], rate, bit_rate, picture)
        note(name, seconds, turns, words)

    tracks, streams, turns = [], [], []
    for i, (voice, lines, start, tags) in enumerate(TRACKS):
        samples, said = talk([voice], lines, begin=start)
        seconds = len(samples) / RATE
        turns += [{**t, "track": i} for t in said]
        streams.append((samples, start, tags))
        tracks.append({**tags, "start": start, "duration": seconds, "text": " ".join(lines)})
    end = max(t["start"] + t["duration"] for t in tracks)
    save("tracks.mkv", "libopus", streams)
    note(
        "tracks.mkv",
        end,
        turns,
        "two audio tracks, Opus in Matroska; the text is the first's, "
        "the times are those of the file; the second is tagged German but speaks English",
    )
    expected["tracks.mkv"] |= {"text": tracks[0]["text"], "tracks": tracks}

    samples, turns = talk(["slt", "rms"], STEREO, channels=2)
    save("stereo.flac", "flac", [(samples, 0, {})], bit_rate=0)
    note("stereo.flac", len(samples) / RATE, turns, "FLAC, slt on the left, rms on the right")

    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
