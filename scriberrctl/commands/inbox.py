"""`scriberrctl inbox`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.session import Session, json_option, pass_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.shapes import Content

IGNORED = {  # in the words of people
    "hidden": "hidden",
    "partial": "incomplete",
    "litter": "litter",
    "conflict": "of conflicts",
    "ours": "transcripts",
    "extension": "by extension",
    "odd_name": "to be renamed",
    "ignored": "by pattern",
    "skipped": "by .scriberrignore",
    "link": "links",
    "special": "no regular files",
}
LABEL = 11  # columns
PASSED = {"existing": "there at first", "outputs": "with transcripts of others"}


@click.command("inbox")
@json_option
@pass_session
def command(session: Session) -> None:
    """List the inboxes: how they are watched, and what lies in them."""
    for inbox in session.client.inboxes()["inboxes"]:
        session.say(inbox, lambda: _text(inbox))  # noqa: B023 - called at once


def _text(inbox: Content) -> str:
    screen = render.Screen.of(sys.stdout)
    return "\n".join(screen.hang(line[:LABEL], line[LABEL:]) for line in _lines(inbox))


def _lines(inbox: Content) -> Iterator[str]:
    yield f"inbox {render.plain(inbox['name'])}: {render.watched(inbox)}"
    for mount in inbox["mounts"]:
        name = render.plain(mount["path"]) or "the folder itself"
        yield f"  mount    {name} ({mount['kind']}): {render.watched(mount)}"
    yield f"  jobs     {render.counted(inbox['jobs'])}"
    files = {"still changing": inbox["settling"], "being read": len(inbox["reading"])}
    yield f"  files    {render.counted(files)}"
    left_out = {IGNORED.get(kind, kind): n for kind, n in inbox["ignored"].items()}
    left_out |= {PASSED.get(why, why): n for why, n in inbox["passed"].items()}
    if left_out:
        yield f"  ignored  {render.plain(render.counted(left_out))}"
    if (oldest := inbox["oldest"]) is not None:
        since = render.moment(oldest["since"])
        yield f"  oldest   {render.plain(oldest['path'])}, {oldest['what']} since {since}"
    for path in inbox["odd"]:
        yield f"  rename   {render.plain(path)!r}: its name ends in a blank or a dot"
    for one in inbox["unreadable"]:
        yield f"  closed   {render.plain(one['path'])}: {render.plain(one['reason'])}"
