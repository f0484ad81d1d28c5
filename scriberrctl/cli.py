"""The command line. Each command is a module of `scriberrctl.commands`, imported when asked for."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from scriberrctl import __version__
from scriberrctl.errors import ClientError
from scriberrctl.session import Session, json_option

COMMANDS = (
    *("status", "list", "show", "submit", "wait", "explain", "inbox", "rescan"),
    *("transcript", "speakers", "cancel", "retry", "redo", "remove", "pause", "resume"),
    *("models", "events"),
)

INTERRUPTED = 130  # as shells say: 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE

EPILOG = """\
\b
Exit status:
  0    done
  1    refused, or an awaited job failed or was canceled
  2    wrong usage
  3    no connection to the daemon
  4    no such job
  124  the wait timed out
  130  interrupted
  141  the output was closed (broken pipe)
"""


class Commands(click.Group):
    """Finds a command by its name, and turns errors into exit statuses."""

    def list_commands(self, _: click.Context) -> list[str]:
        """All commands."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"scriberrctl.commands.{name}").command
        return command

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            try:
                super().invoke(context)
            finally:
                sys.stdout.flush()
        except ClientError as error:
            click.echo(f"scriberrctl: {error}", err=True)
            context.exit(error.exit_code)
        except KeyboardInterrupt:
            context.exit(INTERRUPTED)
        except BrokenPipeError:
            # Drop what is still buffered, so that the exit does not complain about it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(BROKEN_PIPE)
        context.exit(context.ensure_object(Session).exit_code)


@click.command(cls=Commands, invoke_without_command=True, epilog=EPILOG)
@click.option(
    "--socket",
    metavar="PATH",
    envvar="SCRIBERRD_SOCKET",
    help="The daemon's socket. [env: SCRIBERRD_SOCKET; default: the user's, then the system's]",
)
@json_option
@click.version_option(__version__, message="scriberrctl %(version)s")
@click.pass_context
def main(context: click.Context, socket: str | None) -> None:
    """Control scriberrd, the transcription daemon. The default command is status."""
    context.ensure_object(Session).socket = socket
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if context.invoked_subcommand is None:
        context.invoke(import_module("scriberrctl.commands.status").command)
