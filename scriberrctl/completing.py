"""What a shell completes from the daemon: quickly, and silently where it is down."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from scriberrctl.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import click
    from click.shell_completion import CompletionItem

    from scriberrctl.client import Client
    from scriberrctl.shapes import JobState

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

PATIENCE = 1.0  # seconds: somebody has pressed Tab
MOST = 100  # jobs


def jobs(*states: JobState) -> Completer:
    """The newest jobs in these states, each with its state and name."""

    def known(client: Client) -> Iterator[tuple[str, str]]:
        for job in client.jobs(states=states, limit=MOST)["jobs"]:
            yield str(job["id"]), f"{job['state']}: {job['name']}"

    return _completer(known)


def _inboxes(client: Client) -> Iterator[tuple[str, str]]:
    for inbox in client.inboxes()["inboxes"]:
        yield inbox["name"], inbox["state"]


def _models(client: Client) -> Iterator[tuple[str, str]]:
    for model in client.models():
        if model["repository"]:  # a folder of a profile is nothing to pull or to remove
            yield model["name"], ""


def _installed(client: Client) -> Iterator[tuple[str, str]]:
    for model in client.models():
        if model["installed"] and model["repository"]:
            yield model["name"], ""


def _completer(known: Callable[[Client], Iterator[tuple[str, str]]]) -> Completer:
    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell needs it

        from scriberrctl.client import Client  # noqa: PLC0415

        client = Client(context.find_root().params.get("socket"))
        client.connection.patience = PATIENCE
        # Whatever is said would stand in the middle of the line that is being typed.
        with contextlib.suppress(ClientError), contextlib.redirect_stderr(io.StringIO()):
            found = [one for one in known(client) if one[0].startswith(begun)]
            return [CompletionItem(name, help=help_) for name, help_ in found]
        return []

    return complete


inboxes = _completer(_inboxes)
models = _completer(_models)
installed_models = _completer(_installed)
