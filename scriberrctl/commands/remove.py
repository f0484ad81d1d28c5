"""`scriberrctl remove`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from scriberrctl import paging, render
from scriberrctl.errors import ApiError
from scriberrctl.selection import selecting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.client import Client
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


@click.command("remove")
@click.option("--purge", is_flag=True, help="Delete the transcripts too, unless edited.")
@selecting("completed", "failed", "canceled", asks=True)
def command(session: Session, *, chosen: Chosen, purge: bool) -> None:
    """Remove ended jobs from the list. Recordings and transcripts stay."""
    asks = chosen.named and not chosen.yes
    earlier = [one for id_ in chosen.ids for one in _earlier(session.client, id_)] if asks else []
    going = chosen._replace(ids=sorted({*chosen.ids, *earlier}))
    more = set(going.ids) != set(chosen.ids)
    going.agree("delete the transcripts of" if purge else "remove", always=purge or more)
    text = render.purged if purge else render.removed
    session.each(chosen.ids, partial(session.client.remove, purge=purge), text)


def _earlier(client: Client, id_: int) -> Iterator[int]:
    """The earlier jobs about its recording, which go with a job."""
    try:
        job = client.job(id_)
    except ApiError:  # it is said of the order
        return
    inbox, path = job["inbox"], job["path"]
    found, _ = paging.jobs(client, None, before=id_, inbox=inbox, text=job["name"])
    yield from (one["id"] for one in found if one["path"] == path)
