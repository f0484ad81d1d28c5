"""How commands end where they can't read or write, and where descriptors are closed: quietly."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
CLOSED = 141  # as shells say: 128 + SIGPIPE


class Commands(click.Group):
    """Commands that end with a status, and without a traceback, when their output is gone."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line; --help and --version print here."""
        _open_closed()
        with _ending():
            return super().make_context(*args, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        with _ending():
            return super().invoke(context)


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:  # it is not about the output
            raise
        _drop(sys.stdout)
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(CLOSED) from None
        try:
            click.echo(f"scriberrd: can't write: {error.strerror}", err=True)
        except OSError:  # the same disk may be full for messages, too
            _drop(sys.stderr)
        raise click.exceptions.Exit(FAILED) from None


def _drop(stream: TextIO) -> None:
    """Drop what is still buffered, so that the exit does not complain about it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_closed() -> None:
    """Open what was closed by whoever started this, or a socket would have its number.

    A worker, or whatever else is started, would take that for what it may write to.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            opened = open(os.devnull, mode)  # noqa: SIM115 - for as long as the process is
            os.set_inheritable(opened.fileno(), True)  # noqa: FBT003 - a name is not accepted
            setattr(sys, name, opened)
