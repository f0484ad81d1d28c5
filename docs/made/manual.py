"""Pages of the manual, in the words of --help."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILES = {
    "scriberrd": {
        "/etc/scriberrd/scriberrd.toml": "The configuration of the system's daemon.",
        "$XDG_CONFIG_HOME/scriberrd/scriberrd.toml": "The configuration of a user's daemon.",
    },
    "scriberrctl": {
        "/run/scriberrd/scriberrd.sock": "The socket of the system's daemon.",
        "$XDG_RUNTIME_DIR/scriberrd/scriberrd.sock": "The socket of a user's daemon.",
    },
}
SEE = {"scriberrd": "scriberrctl", "scriberrctl": "scriberrd"}


def page(name: str, program: click.Group) -> str:
    """The page of a program, in section 1."""
    return "\n".join(_lines(name, program)) + "\n"


def _lines(name: str, program: click.Group) -> Iterator[str]:
    context = click.Context(program)
    first, *rest = words.paragraphs(program)
    yield f'.TH {name.upper()} 1 "" "scriberrd" "User Commands"'
    yield from (".SH NAME", f"{name} \\- {_roff(first.partition('. ')[0].rstrip('.'))}")
    yield from (".SH SYNOPSIS", f".B {name}", "[OPTIONS] COMMAND [ARGS]...")
    yield ".SH DESCRIPTION"
    yield from _prose([first, *rest])
    yield from (".SH OPTIONS", *_options(words.own(program)))
    yield ".SH COMMANDS"
    for one in program.list_commands(context):
        command = program.get_command(context, one)
        assert command is not None  # noqa: S101 - it is listed
        if not command.hidden:
            yield from _command(f"{name} {one}", command)
    if program.epilog:
        yield from (".SH EXIT STATUS", *_prose([program.epilog.replace("Exit status:\n", "")]))
    yield ".SH FILES"
    for file, meaning in FILES[name].items():
        yield from (".TP", f".I {_roff(file)}", _roff(meaning))
    yield from (".SH SEE ALSO", f".BR {SEE[name]} (1)")


def _command(name: str, command: click.Command) -> Iterator[str]:
    yield f".SS {_roff(name.partition(' ')[2])}"
    for usage in words.usages(name, command):
        yield from (f".B {_roff(usage)}", ".br")
    yield from _prose(words.paragraphs(command))
    for one in words.below(command):
        yield from _prose(words.paragraphs(one))
    yield from _options(words.options(command))


def _options(options: Iterable[click.Option]) -> Iterator[str]:
    for option in options:
        yield from (".TP", f".B {_roff(', '.join(words.spelled(option)))}")
        yield _roff(words.described(option))


def _prose(paragraphs: list[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        if paragraph.startswith("\b\n"):
            yield from (".PP", ".nf", *map(_roff, paragraph[2:].splitlines()), ".fi")
        else:
            yield from (".PP", *(_roff(line) for line in paragraph.splitlines()))


def _roff(text: str) -> str:
    """Text as it stands, whatever it begins with."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)
