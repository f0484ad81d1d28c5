from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run

import jsonschema
import pytest

from scriberrd.assembling import assemble
from scriberrd.output.formats import schema
from scriberrd.transcript import (
    BlockResult,
    EngineInfo,
    Segment,
    SourceInfo,
    Word,
    decode,
    encode,
)

SCHEMA = Path(__file__).parents[2] / "docs/transcript.schema.json"
SPOKEN = BlockResult(
    number=0,
    start=0.0,
    end=2.0,
    speech=1.0,
    language="en",
    language_probability=1.0,
    segments=(
        Segment(start=0.0, end=0.5, text=" Hello", speaker="SPEAKER_00"),
        Segment(start=0.5, end=1.0, text=" there.", suspect=("repetitive",)),
    ),
    words=(
        Word(start=0.0, end=0.5, word=" Hello", speaker="SPEAKER_00"),
        Word(start=0.5, end=1.0, word=" there.", probability=0.5),
    ),
)


def transcript(*blocks: BlockResult) -> bytes:
    made = assemble(
        blocks,
        duration=2.0,
        engine=EngineInfo(provider="test", model="none", device="cpu", compute_type="int8"),
        source=SourceInfo(
            name="talk.wav", sha256="0" * 64, size=1, container="wav", codec="pcm", channels=1
        ),
        processing_seconds=1.0,
        word_timestamps=True,
        warnings=(),
    )
    return b"".join(encode(made))


def test_the_documented_schema_is_up_to_date() -> None:
    command = [sys.executable, "-m", "scriberrd.output.formats.schema"]
    assert SCHEMA.read_bytes() == run(command, check=True, capture_output=True).stdout, (
        "run: python -m scriberrd.output.formats.schema > docs/transcript.schema.json"
    )


def test_every_field_of_the_schema_is_described() -> None:
    for name, definition in schema.build()["$defs"].items():
        assert set(schema.DESCRIPTIONS[name]) == set(definition["properties"])


def test_transcripts_follow_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    validator.check_schema(validator.schema)
    for blocks in ([], [SPOKEN]):
        validator.validate(json.loads(transcript(*blocks)))
    speaking = json.loads(transcript(SPOKEN)) | {
        "turns": [{"start": 0.0, "end": 1.0, "speaker": "SPEAKER_00"}],
        "speakers": [{"label": "SPEAKER_00", "name": "Ada Lovelace"}],
    }
    validator.validate(json.loads(b"".join(encode(decode(json.dumps(speaking).encode())))))
    broken = json.loads(transcript(SPOKEN))
    del broken["words"][0]["probability"]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)
