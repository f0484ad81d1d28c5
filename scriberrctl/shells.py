"""How shells are told to complete the commands of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import get_completion_class

if TYPE_CHECKING:
    import click

PLACES = {  # below /usr/share or /usr/local/share
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}


def script(shell: str, name: str, program: click.Command) -> str:
    """What a shell has to read to complete a program of this name."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(shell)
    made = kind(program, {}, name, f"_{name.upper()}_COMPLETE")
    return made.source_template % made.source_vars()
