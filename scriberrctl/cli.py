"""The command line. Each command is a module of `scriberrctl.commands`, imported when asked for."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import NoSuchCommand

from scriberrctl import __version__
from scriberrctl.errors import ClientError
from scriberrctl.session import Session, json_option
from scriberrctl.table import ALIASES, COMMANDS, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
INTERRUPTED = 130  # as shells say: 128 + SIGINT
CLOSED = 141  # 128 + SIGPIPE

EPILOG = """\
\b
Exit status:
  0    done
  1    refused, nothing matched, or an awaited job failed or was canceled
  2    wrong usage
  3    no connection to the daemon
  4    no such job
  124  the wait timed out
  130  interrupted
  141  the output was closed (broken pipe)
"""


class Commands(click.Group):
    """Finds a command by its name, and turns errors into exit statuses."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line; --help and --version print here."""
        _open_closed()
        with _ending():
            return super().make_context(*args, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        with _ending():
            super().invoke(context)
        context.exit(context.ensure_object(Session).exit_code)

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """The command that is asked for; of none, say which has nearly this name."""
        try:
            return super().resolve_command(context, args)
        except NoSuchCommand as error:
            known = [*COMMANDS, *ALIASES]
            raise NoSuchCommand(error.command_name, possibilities=known, ctx=context) from None

    def list_commands(self, _: click.Context) -> list[str]:
        """All commands."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        name = ALIASES.get(name, name)
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"scriberrctl.commands.{name}").command
        return command

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands come first."""
        self.format_commands(context, formatter)
        click.Command.format_options(self, context, formatter)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without an import of each."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(
                    [(", ".join([one.name, *one.aliases]), one.summary) for one in commands]
                )


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """Errors end the program with their exit status, and without a traceback."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except ClientError as error:
        _fail(error.exit_code, str(error))
    except (KeyboardInterrupt, click.Abort):
        raise click.exceptions.Exit(INTERRUPTED) from None
    except OSError as error:  # whoever opens files or sockets looks after its own
        # What is still buffered is dropped, so that the exit does not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno in {errno.EPIPE, errno.EBADF}:
            raise click.exceptions.Exit(CLOSED) from None
        _fail(FAILED, f"can't write: {error.strerror}")


def _fail(status: int, message: str) -> None:
    with contextlib.suppress(OSError):  # the same disk may be full for messages, too
        click.echo(f"scriberrctl: {message}", err=True)
    raise click.exceptions.Exit(status) from None


def _open_closed() -> None:
    """Open what was closed by whoever started this, or the next socket would have its number."""
    for name, flags, mode in (
        ("stdin", os.O_RDONLY, "r"),  # is empty
        ("stdout", os.O_RDONLY, "w"),  # can't be written: that fails as on a closed pipe
        ("stderr", os.O_WRONLY, "w"),  # nobody wants to know
    ):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))


@click.command(
    cls=Commands,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
