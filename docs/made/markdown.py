"""docs/scriberrctl.md: usage and options of each command are made, what is told of it is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import words

from scriberrctl.cli import main
from scriberrctl.table import COMMANDS, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.table import Command

TABLE = re.compile(r"\| Option \| \|\n\| --- \| --- \|\n(?:\|.*\n)+\n?")
USAGE = re.compile(r"\A```\n(?:scriberrctl .*\n)+```\n\n?")


def text(old: str) -> str:
    """The guide, from what it was."""
    head, _, rest = old.partition("\n## Commands\n")
    told = dict(
        re.findall(r"^### (\w+)\n\n(.*?)(?=^### |\Z)", rest, flags=re.MULTILINE | re.DOTALL)
    )
    sections = [_section(name, told.get(name, "")) for name in COMMANDS]
    return "\n".join([head, "## Commands", "", *_contents(), *sections]).rstrip() + "\n"


def _contents() -> Iterator[str]:
    yield from ("| Command | | Asks for |", "| --- | --- | --- |")
    for title, commands in SECTIONS.items():
        yield f"| **{title}** | | |"
        yield from map(_line, commands)
    yield ""


def _line(command: Command) -> str:
    names = ", ".join(
        [f"[`{command.name}`](#{command.name})", *(f"`{one}`" for one in command.aliases)]
    )
    asked = ", ".join(f"[`{one}`](api.md#{_anchor(one)})" for one in command.endpoints)
    return f"| {names} | {command.summary} | {asked} |"


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def _section(name: str, told: str) -> str:
    command = main.get_command(click.Context(main), name)
    assert command is not None  # noqa: S101 - the table says so
    usage = "\n".join(["```", *words.usages(f"scriberrctl {name}", command), "```", "", ""])
    rows = [
        f"| {_names(one)} | {_escaped(words.described(one))} |" for one in words.options(command)
    ]
    table = "\n".join(["| Option | |", "| --- | --- |", *rows, "", ""]) if rows else ""
    prose = USAGE.sub("", told) or "\n\n".join([*words.paragraphs(command), ""])
    if TABLE.search(prose):
        prose = TABLE.sub(lambda _: table, prose)
    else:
        prose = f"{prose.rstrip()}\n\n{table}"
    return f"### {name}\n\n{usage}{prose.rstrip()}\n"


def _names(option: click.Option) -> str:
    return ", ".join(f"`{_escaped(name)}`" for name in words.spelled(option))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
