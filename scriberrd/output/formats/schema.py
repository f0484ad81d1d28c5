"""The JSON Schema of the canonical transcript: `python -m scriberrd.output.formats.schema`."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
from msgspec import UNSET

from scriberrd import transcript
from scriberrd.transcript import Transcript

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DESCRIPTIONS = {
    "Transcript": {
        "schema": "The version of this format.",
        "text": "Everything that was said, in one line.",
        "language": 'A code such as "en"; null when nothing was said.',
        "language_probability": "How sure the engine is of the language, 0 to 1.",
        "duration": "Seconds of the recording.",
        "speech_duration": "Seconds of speech in it.",
        "segments": "The phrases, in order.",
        "words": "Those of each segment, one after another; empty when they were not asked for.",
        "gaps": "Where something was heard that the text does not have; only if there are any.",
        "turns": "Who speaks when, overlaps included, by their starts; only with diarization.",
        "speakers": "What is known of speakers: names and channels; only if there are any.",
        "engine": "What made the transcript.",
        "source": "The recording.",
        "stats": "Figures about the transcript and the work.",
        "warnings": 'What a reader should know; "no speech was found" among others.',
    },
    "Segment": {
        "id": "Unique in this transcript: seg_000001 and so on.",
        "start": "Seconds from the start of the recording.",
        "end": "Seconds from the start of the recording.",
        "speaker": "SPEAKER_00, SPEAKER_01 ... in order of first speech; only with diarization.",
        "text": "What was said.",
        "avg_logprob": "Mean log probability of the tokens of the clip of sound that it is from.",
        "no_speech_prob": "Probability that there is no speech in that clip, 0 to 1.",
        "compression_ratio": "Of the text of that clip; a high one hints at repetition.",
        "language": "Its language; only when each clip is asked for its own.",
        "suspect": "Why the text may be wrong; only where it may be.",
        "overlap": "Others speak at the same time; only where they do.",
    },
    "Turn": {
        "start": "Seconds from the start of the recording.",
        "end": "Seconds from the start of the recording.",
        "speaker": "A label, as in segments.",
    },
    "Speaker": {
        "label": "As in segments, words and turns.",
        "name": "Of the person; only where somebody has given it.",
        "channel": "Of the sound, from 1; only where each channel was taken for a speaker.",
    },
    "Gap": {
        "start": "Seconds from the start of the recording.",
        "end": "Seconds from the start of the recording.",
        "why": "no_words: speech without words; phantom: invented words without speech.",
    },
    "Word": {
        "start": "Seconds from the start of the recording.",
        "end": "Seconds from the start of the recording.",
        "word": "With the space before it, where there is one.",
        "probability": "0 to 1.",
        "speaker": "Only with diarization.",
    },
    "EngineInfo": {
        "provider": "The name of the engine.",
        "model": "The name of the model.",
        "revision": "The revision of the model, where it is known.",
        "device": "cpu, or cuda and a number.",
        "compute_type": "The arithmetic of the engine, such as int8 or float16.",
        "diarization_model": "What told the speakers apart; only with diarization.",
        "fallbacks": "What parts of it were made with less of, since memory ran out.",
    },
    "SourceInfo": {
        "name": "The name of the file.",
        "sha256": "Of the bytes of the file, in hexadecimal.",
        "size": "Bytes of the file.",
        "container": "The format of the file.",
        "codec": "The format of the sound.",
        "channels": "Channels of the sound.",
    },
    "Stats": {
        "words": "How many words there are.",
        "processing_seconds": "Seconds that the work took, all runs together.",
        "real_time_factor": "Seconds of work a second of sound; smaller is faster.",
        "confidence": "Mean probability of the words, 0 to 1.",
    },
}


def build() -> dict[str, Any]:
    """Derive the schema from the types."""
    schema = msgspec.json.schema(Transcript)
    for name, definition in schema["$defs"].items():
        fields = msgspec.structs.fields(getattr(transcript, name))
        # A default is the constructor's business: in a file only what is UNSET is left out.
        definition["required"] = [field.name for field in fields if field.default is not UNSET]
        for field, property_ in definition["properties"].items():
            property_.pop("default", None)
            property_["description"] = DESCRIPTIONS[name][field]
    return {"$schema": DIALECT, "title": "scriberrd transcript, schema 1", **schema}


def render() -> str:
    """Write the schema as it is kept in the documentation."""
    return json.dumps(build(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
