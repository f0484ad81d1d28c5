"""One machine for all tests here, on which scriberrd is installed as the README says."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import root
from machine import MODEL, SOURCE, Machine, booted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = f"""
[daemon]
rescan = "1s"
[[inbox]]
name = "default"
path = "/srv/recordings"
output = "/srv/transcripts"
settle = "0.2s"
[[inbox]]
name = "slow"
path = "/srv/slow"
output = "/srv/slow-transcripts"
settle = "0.2s"
profile = "slow"
[profile.default]
model = "{MODEL}"
[profile.slow]
engine = "fake"
model = "slow"
block_seconds = 5
[retry]
backoff = "0.1s"
"""


def commands() -> list[str]:
    """Those of the README that install the service."""
    text = (root.SOURCE / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```sh\n(sudo python3 -m venv.*?)```", text, re.DOTALL)
    return [line.removeprefix("sudo ").split(" #")[0].strip() for line in block.splitlines()]


def wheel(folder: Path) -> Path:
    """scriberrd as it is here now."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    subprocess.run([*pip, root.SOURCE], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if not all(layer.is_dir() for layer in root.layers()):
        pytest.skip("there is no root of a machine: `make test-systemd` makes it, or says why not")
    with booted(tmp_path_factory.mktemp("machine")) as new:
        made = wheel(tmp_path_factory.mktemp("wheel"))
        new.write(f"/root/{made.name}", made.read_bytes())
        for name in ("anna", "bob", "carl"):  # carl uses it for himself
            new.run("useradd", "--create-home", "--shell", "/bin/bash", name)
        packages = f"{root.VENV}/lib/python3.11/site-packages"
        new.write(f"{packages}/fake.pth", f"{SOURCE}/tests/fake_engine\n")
        for command in commands():
            line = command.replace("install .", f"install --no-index /root/{made.name}")
            if line.startswith("systemctl enable"):  # so that no model is needed
                new.write("/etc/scriberrd/scriberrd.toml", CONFIG)
                new.run("scriberrd", "install")
            new.run("sh", "-euc", line.replace('"$USER"', "anna"))
        yield new
