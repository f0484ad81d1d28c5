"""What all commands share: the connection to the daemon, and printing."""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import click

from scriberrctl.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scriberrctl.client import Client
    from scriberrctl.shapes import Job

JOB_ID = click.IntRange(min=1)
PRIORITY = click.Choice(["urgent", "high", "normal", "low"])


class Session:
    """One run of the client."""

    def __init__(self) -> None:
        self.socket: str | None = None
        self.json = False
        self.exit_code = 0
        self._noted: set[str] = set()

    @cached_property
    def client(self) -> Client:
        """The daemon."""
        from scriberrctl.client import Client  # noqa: PLC0415 - --help needs no http.client

        return Client(self.socket)

    def say(self, data: Any, text: Callable[[], str]) -> None:
        """Print data: as a line of JSON, or as text for people."""
        click.echo(json.dumps(data, ensure_ascii=False) if self.json else text())

    def complain(self, message: str, exit_code: int = 1) -> None:
        """Print an error and continue; the largest exit status is kept."""
        click.echo(f"scriberrctl: {message}", err=True)
        self.exit_code = max(self.exit_code, exit_code)

    def note(self, message: str) -> None:
        """Print what is worth to know, each only once."""
        if message not in self._noted:
            click.echo(f"note: {message}", err=True)
            self._noted.add(message)

    def each(
        self, ids: Iterable[int], order: Callable[[int], Job], text: Callable[[Job], str]
    ) -> None:
        """Send an order for each job, and print the result."""
        for id_ in ids:
            try:
                job = order(id_)
            except ApiError as error:
                self.complain(str(error), error.exit_code)
            else:
                self.say(job, partial(text, job))


pass_session = click.make_pass_decorator(Session, ensure=True)


def _set_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Session).json = True


set_option = click.option(
    "--set",
    metavar="KEY=VALUE",
    multiple=True,
    help="What to set over the profile, such as language=de; may be repeated.",
)
json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_set_json,
    help="Print JSON, one object per line.",
)
