"""Commands and options in words, as both the guide and the manual have them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


def own(command: click.Command) -> list[click.Option]:
    """All options of one command."""
    found = command.get_params(click.Context(command))
    return [one for one in found if isinstance(one, click.Option)]


def options(command: click.Command) -> Iterator[click.Option]:
    """Those that not every command has; of a group, also those of all below it."""
    known = {"--json", "--help"}
    for option in (one for each in (command, *below(command)) for one in own(each)):
        if not known.intersection(option.opts):
            known.update(option.opts)
            yield option


def below(command: click.Command) -> list[click.Command]:
    """The commands of a group."""
    return list(command.commands.values()) if isinstance(command, click.Group) else []


def usages(name: str, command: click.Command) -> Iterator[str]:
    """How a command and those below it are typed."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield " ".join([name, *_pieces(command)])
    for one in below(command):
        yield " ".join([name, str(one.name), *_pieces(one)])


def _pieces(command: click.Command) -> Iterator[str]:
    if any(True for _ in options(command)):
        yield "[OPTIONS]"
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield parameter.make_metavar(click.Context(command))


def spelled(option: click.Option) -> list[str]:
    """The names of an option, the long one first, each with what comes after it."""
    names = sorted(option.opts, key=len, reverse=True)
    if option.is_flag or option.count:
        return names
    value = option.metavar or str(option.name).rstrip("_").upper()
    return [f"{name} {value}" for name in names]


def described(option: click.Option) -> str:
    """What an option is for, what it allows, and what counts without it."""
    text, begun, default = (option.help or "").partition(" [default: ")
    if isinstance(option.type, click.Choice) and option.metavar is None:
        text = f"{text.rstrip('.')}: {', '.join(map(str, option.type.choices))}."
    if option.show_default and option.default is not None:
        return f"{text} [default: {option.default}]"
    return text + begun + default


def paragraphs(command: click.Command) -> list[str]:
    """The help of a command; those that begin with a backspace stay as they are written."""
    return inspect.cleandoc(command.help or "").split("\n\n")
