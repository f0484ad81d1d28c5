"""`scriberrctl inbox`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.session import Session, json_option, pass_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.shapes import Content


@click.command("inbox")
@json_option
@pass_session
def command(session: Session) -> None:
    """List the inboxes: how they are watched, and what lies in them."""
    for inbox in session.client.inboxes()["inboxes"]:
        session.say(inbox, lambda: "\n".join(_lines(inbox)))  # noqa: B023 - called at once


def _lines(inbox: Content) -> Iterator[str]:
    yield f"inbox {render.plain(inbox['name'])}: {render.watched(inbox)}"
    for mount in inbox["mounts"]:
        name = render.plain(mount["path"]) or "the folder itself"
        yield f"  mount    {name} ({mount['kind']}): {render.watched(mount)}"
    yield f"  jobs     {render.counted(inbox['jobs'])}"
    files = {"still changing": inbox["settling"], "being read": len(inbox["reading"])}
    ignored = render.counted(inbox["ignored"])
    yield f"  files    {render.counted(files)}{f'; ignored: {ignored}' if ignored else ''}"
    if (oldest := inbox["oldest"]) is not None:
        since = render.moment(oldest["since"])
        yield f"  oldest   {render.plain(oldest['path'])}, {oldest['what']} since {since}"
    for path in inbox["odd"]:
        yield f"  rename   {render.plain(path)!r}: its name ends in a blank or a dot"
    for one in inbox["unreadable"]:
        yield f"  closed   {render.plain(one['path'])}: {render.plain(one['reason'])}"
