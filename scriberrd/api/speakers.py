"""The names of those who speak in a transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from scriberrd.api import views
from scriberrd.api.params import Params
from scriberrd.queue import queries

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms

LONGEST = 100  # characters of a name
Name = Annotated[
    str,
    Meta(
        max_length=LONGEST,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$",  # nothing that begins a line
        extra_json_schema={"description": f"a name: one line of at most {LONGEST} characters"},
    ),
]


class Named(Params, frozen=True, kw_only=True):
    """Who a speaker is."""

    speaker: str
    name: Name


async def name(rooms: Rooms, id_: int, named: Named) -> views.JobView:
    """Name a speaker, and write the transcript again; an empty name takes the name away."""
    job = await rooms.name(id_, named.speaker, " ".join(named.name.split()))
    starts = await rooms.store.read(queries.starts, [job])
    return views.job(job, starts, rooms.clock)
