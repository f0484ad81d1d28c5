"""The command `scriberrd`, as it is typed."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path

from scriberrd import config

ROOT = Path(__file__).parent.parent.parent


def scriberrd(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scriberrd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_init_writes_the_sample_and_check_likes_it(tmp_path: Path) -> None:
    file = tmp_path / "new/scriberrd.toml"
    done = scriberrd("init", file)
    assert (done.returncode, done.stderr) == (0, "")
    folders = config.load(file, os.environ).daemon
    assert f"\nits queue is in {folders.state_dir}, " in done.stdout
    assert file.read_text() == (ROOT / "config/scriberrd.toml").read_text()
    done = scriberrd("check", "--config", file)
    queue = f"its queue is in {folders.state_dir}, its socket is {folders.socket}"
    told = f"{file}: ok, for user {getpass.getuser()}; {queue}\n"
    assert (done.returncode, done.stdout) == (0, told)


def test_init_replaces_nothing_unasked(tmp_path: Path) -> None:
    file = tmp_path / "scriberrd.toml"
    file.write_text("mine")
    done = scriberrd("init", file)
    assert done.returncode == 1
    assert "--force" in done.stderr
    assert file.read_text() == "mine"
    assert scriberrd("init", "--force", file).returncode == 0


def test_a_bad_configuration_is_told_and_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "scriberrd.toml"
    file.write_text('[daemon]\nrescan = "soon"\n')
    told = f"{file}:2: daemon.rescan: 'soon' is not a duration"
    done = scriberrd("check", "--config", file)
    assert (done.returncode, done.stderr.splitlines()[1].startswith(told)) == (78, True)
    done = scriberrd("run", "--config", file)
    assert (done.returncode, f" ERROR {told}" in done.stderr) == (78, True)
    done = scriberrd("run", "--config", file, "--log-format", "json")
    line = json.loads(done.stderr)
    assert (done.returncode, line["level"], line["message"][: len(told)]) == (78, "error", told)


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("run", "check", "init", "demo"):
        assert f"scriberrd {command}" in readme
        assert scriberrd(command, "--help").returncode == 0


def test_a_state_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    file = tmp_path / "scriberrd.toml"
    (tmp_path / "state").touch()
    for state in ("state", "state/deeper"):
        file.write_text(f'[daemon]\nstate_dir = "{state}"\nsocket = "s"\n')
        done = scriberrd("run", "--config", file)
        assert done.returncode == 78
        assert f" ERROR daemon.state_dir: {tmp_path / state}: " in done.stderr.splitlines()[-1]
