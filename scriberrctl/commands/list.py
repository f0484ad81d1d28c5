"""`scriberrctl list`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from scriberrctl import paging, render
from scriberrctl.blockers import briefly
from scriberrctl.selection import Wanted, inbox_option, require_inbox, state_option
from scriberrctl.session import PRIORITY, Session, json_option, pass_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrctl.shapes import Job

PRIORITIES = list(PRIORITY.choices)
KEYS: dict[str, Callable[[Job], Any]] = {
    "id": lambda job: job["id"],
    "state": lambda job: job["state"],
    "inbox": lambda job: job["inbox"],
    "path": lambda job: job["path"],
    "priority": lambda job: PRIORITIES.index(job["priority"]),
    "duration": lambda job: job["progress"]["duration"] or 0.0,
    "submitted": lambda job: job["created_at"],
    "finished": lambda job: job["finished_at"] or "",
}


@click.command("list")
@state_option
@inbox_option
@click.option("--text", metavar="TEXT", help="Only jobs whose path contains this.")
@click.option(
    "--sort",
    type=click.Choice([sign + key for key in KEYS for sign in ("", "-")]),
    metavar="KEY",
    help=f"Sort by {', '.join(KEYS)}; -KEY: backwards. [default: -id]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="Show at most this many.",
)
@click.option("--all", "all_", is_flag=True, help="Show all, whatever the limit.")
@json_option
@pass_session
def command(
    session: Session, /, *, sort: str | None, limit: int, all_: bool, **options: Any
) -> None:
    """List jobs, newest first."""
    most = None if all_ else limit
    found, more = _found(session, most, sort, **options)
    if not found:
        require_inbox(session.client, options["inbox"])
    if session.json:
        for job in found:
            session.say(job, str)
        return
    if not found:
        wanted = Wanted((), options["state"], options["inbox"], options["state"])
        of = f" whose path contains {options['text']!r}" if options["text"] else ""
        click.echo(f"there is no {wanted}{of}", err=True)
        return
    queued = any(job["state"] == "queued" for job in found)
    screen = render.Screen.of(sys.stdout)
    waits = briefly(found, session.client.status(), screen) if queued else {}
    click.echo(render.jobs(found, waits, screen))
    if more:
        click.echo("there are more jobs: use --limit or --all", err=True)


def _found(
    session: Session,
    most: int | None,
    sort: str | None,
    *,
    state: tuple[str, ...],
    inbox: str | None,
    text: str | None,
) -> tuple[list[Job], bool]:
    """The first jobs, and whether there are more; to sort, all must be known."""
    wanted: dict[str, Any] = {"states": state, "inbox": inbox, "text": text}
    if sort is None:
        return paging.jobs(session.client, most, **wanted)
    found, _ = paging.jobs(session.client, None, **wanted)
    found.sort(key=KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    return found[:most], most is not None and len(found) > most
