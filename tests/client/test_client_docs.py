"""docs/scriberrctl.md, --help and the code say the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from scriberrctl import errors
from scriberrctl.cli import CLOSED, EPILOG, INTERRUPTED, main
from scriberrctl.table import COMMANDS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "scriberrctl.md").read_text("utf-8")


def options(command: click.Command) -> set[str]:
    return {
        option
        for parameter in command.get_params(click.Context(command))
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }


def documented(text: str) -> set[str]:
    cells = re.findall(r"^\| (`-[^|]+) \|", text, flags=re.MULTILINE)
    return {option for cell in cells for option in re.findall(r"`(--?[a-z-]+)", cell)}


def find(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


def test_what_is_made_of_the_tables_is_up_to_date() -> None:
    command = [sys.executable, "docs/made", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("name", ["scriberrctl", "scriberrd"])
def test_a_page_of_the_manual_can_be_read(name: str) -> None:
    page = ROOT / f"scriberrd/installing/share/man/man1/{name}.1"
    command = ["groff", "-man", "-Tutf8", "-ww", "-rHY=0", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "Show the version and exit." in done.stdout


def test_every_module_is_a_command() -> None:
    folder = ROOT / "scriberrctl" / "commands"
    assert set(COMMANDS) == {file.stem for file in folder.glob("[!_]*.py")}
    assert [find(name).name for name in COMMANDS] == list(COMMANDS)


def test_every_common_option_is_described() -> None:
    # Whether -h is among them depends on what has asked for help in this process before.
    assert options(main) | {"-h"} == documented(TEXT.partition("\n## ")[0])


def test_every_exit_status_is_described() -> None:
    described = dict(re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, flags=re.MULTILINE))
    assert described == dict(re.findall(r"^  (\d+) +(.+)$", EPILOG, flags=re.MULTILINE))
    raised = {error.exit_code for error in (errors.ClientError, errors.NoDaemon, errors.TimedOut)}
    raised |= {errors.ApiError("job_not_found", "", 404).exit_code, INTERRUPTED, CLOSED, 0, 2}
    assert raised == set(map(int, described))
