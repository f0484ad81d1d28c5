"""The endpoints, the methods of the client and the table of commands cover one another."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scriberrctl import client
from scriberrctl.cli import main
from scriberrctl.table import ALIASES, COMMANDS, SECTIONS
from scriberrd.api.endpoints import ENDPOINTS

KNOWN = {f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS}
FOR_PROGRAMS = {"GET /v1/health", "GET /v1/openapi.json"}  # no command shows these
FOR_OTHERS = {"GET /metrics"}  # a client of their own reads this


def called() -> set[str]:
    """What the client's methods ask for: each path, with the method that stands before it."""
    source = Path(client.__file__).read_text("utf-8")
    found = re.findall(r'(?:"([A-Z]+)", |(\w+)\()f?"(/v1/[^"]*|/metrics)"', source)
    posting = {"_tell", "_submitted"}
    return {
        f"{method or ('POST' if function in posting else 'GET')} {path.replace('id_', 'id')}"
        for method, function, path in found
    }


def test_the_client_has_a_method_for_each_endpoint() -> None:
    assert called() == KNOWN - FOR_OTHERS


def test_every_endpoint_has_a_command() -> None:
    used = {endpoint for command in COMMANDS.values() for endpoint in command.endpoints}
    assert used == KNOWN - FOR_PROGRAMS - FOR_OTHERS


def test_no_name_means_two_commands() -> None:
    names = [*COMMANDS, *ALIASES]
    assert (
        len(names)
        == len(set(names))
        == sum(1 + len(command.aliases) for section in SECTIONS.values() for command in section)
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_by_each_of_its_names(name: str) -> None:
    with main.make_context("scriberrctl", [name]) as context:
        for one in (name, *COMMANDS[name].aliases):
            found = main.get_command(context, one)
            assert found is not None
            assert found.name == name


@pytest.mark.parametrize("typed", ["statsu", "cancle", "sumbit"])
def test_a_name_that_is_nearly_right(typed: str) -> None:
    command = [sys.executable, "-m", "scriberrctl", typed]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Did you mean" in ended.stderr
