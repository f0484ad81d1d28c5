"""An environment with pyannote.audio and PyTorch for the processor, beside the one of the tests.

python environment.py prints its Python, or on stderr why it can't be had. It is made once (1.5 GB)
for each set of what is in it, below ~/.cache/scriberrd-tests; scriberrd itself is in it as it is
here now.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scriberrd-tests"
PINS = ("torch==2.13.0", "pyannote.audio==4.0.7", "hatchling>=1.25", "editables>=0.5")
# PyPI has only one torchaudio, for CUDA; this is all of it that is not Python. Without CUDA it
# can't be loaded, and pyannote.audio can do without.
CUDA = "torchaudio/lib/_torchaudio.abi3.so"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [*PINS, *project["dependencies"], *project["optional-dependencies"]["test"]]
    folder = CACHE / f"diarization-{fingerprint(needs)}"
    python = folder / "bin" / "python"
    try:
        if not (folder / "complete").exists():
            make(folder, needs)
    except subprocess.CalledProcessError as error:
        why = [line for line in error.stderr.splitlines() if line.lower().startswith("error")]
        sys.stderr.write(f"no tests with pyannote.audio: {'; '.join(why)}\n")
        return
    pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    print(python)


def fingerprint(needs: list[str]) -> str:
    """A name for what is installed, and with which Python."""
    return hashlib.sha256("\n".join([sys.version, *needs]).encode()).hexdigest()[:12]


def make(folder: Path, needs: list[str]) -> None:
    for old in CACHE.glob("diarization-*"):  # of other pins, or broken off
        shutil.rmtree(old)
    sys.stderr.write(f"installing {', '.join(PINS[:2])} (once; some minutes)\n")
    venv.create(folder, with_pip=True)
    pip(folder / "bin" / "python", *needs)
    for library in folder.glob(f"lib/python*/site-packages/{CUDA}"):
        library.rename(library.with_suffix(".aside"))
    (folder / "complete").touch()


def pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    main()
