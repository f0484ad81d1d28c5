"""docs/scriberrctl.md, --help and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from scriberrctl import errors
from scriberrctl.cli import CLOSED, EPILOG, INTERRUPTED, main
from scriberrctl.table import COMMANDS

TEXT = (Path(__file__).parents[2] / "docs" / "scriberrctl.md").read_text("utf-8")
EVERYWHERE = {"--json", "--help", "-h"}


def options(command: click.Command) -> set[str]:
    """All of a command; those of commands below it, too."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {
        option
        for parameter in command.get_params(click.Context(command))
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }.union(*map(options, below))


def documented(text: str) -> set[str]:
    cells = re.findall(r"^\| (`-[^|]+) \|", text, flags=re.MULTILINE)
    return {option for cell in cells for option in re.findall(r"`(--?[a-z-]+)", cell)}


def section(name: str) -> str:
    return TEXT.partition(f"\n### {name}\n")[2].partition("\n#")[0]


def find(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


def test_every_command_has_its_section() -> None:
    assert set(COMMANDS) == set(re.findall(r"^### (\w+)$", TEXT, flags=re.MULTILINE))


def test_every_module_is_a_command() -> None:
    folder = Path(__file__).parents[2] / "scriberrctl" / "commands"
    assert set(COMMANDS) == {file.stem for file in folder.glob("[!_]*.py")}
    assert [find(name).name for name in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    assert options(find(name)) - EVERYWHERE == documented(section(name))


def test_every_common_option_is_described() -> None:
    assert options(main) == documented(TEXT.partition("\n## ")[0]) - {"-h"}


def test_every_exit_status_is_described() -> None:
    described = dict(re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, flags=re.MULTILINE))
    assert described == dict(re.findall(r"^  (\d+) +(.+)$", EPILOG, flags=re.MULTILINE))
    raised = {error.exit_code for error in (errors.ClientError, errors.NoDaemon, errors.TimedOut)}
    raised |= {errors.ApiError("job_not_found", "", 404).exit_code, INTERRUPTED, CLOSED, 0, 2}
    assert raised == set(map(int, described))
