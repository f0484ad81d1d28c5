"""`scriberrctl completion`."""

from __future__ import annotations

import click

from scriberrctl.shells import PLACES, script


@click.command("completion")
@click.argument("shell", type=click.Choice(list(PLACES)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options, job IDs, inboxes and models.

    `scriberrd install` puts it in place. To try it out, or where that was not done:

    \b
    bash:  source <(scriberrctl completion bash)
    zsh:   source <(scriberrctl completion zsh)
    fish:  scriberrctl completion fish | source
    """  # noqa: D301 - click wants a real one
    click.echo(script(shell, "scriberrctl", context.find_root().command), nl=False)
