"""`scriberrctl priority`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scriberrctl import render
from scriberrctl.selection import selecting
from scriberrctl.session import PRIORITY

if TYPE_CHECKING:
    from scriberrctl.selection import Chosen
    from scriberrctl.session import Session


class _First(click.Choice[str]):
    """A priority; of a job that is given before it, say how it is done."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value[:1].isdecimal():
            self.fail("the priority comes first: scriberrctl priority high 3", param, ctx)
        return super().convert(value, param, ctx)


@click.command("priority")
@click.argument("priority", type=_First(PRIORITY.choices))
@selecting("queued")
def command(session: Session, *, chosen: Chosen, priority: str) -> None:
    """Have queued jobs claimed earlier or later. They keep this priority for all later runs."""
    session.each(
        chosen.ids,
        lambda id_: session.client.prioritize(id_, priority),
        lambda job: f"{render.outcome(job)}; priority {job['priority']}",
    )
