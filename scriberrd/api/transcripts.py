"""The transcript of a job, as it was published or in another format."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from scriberrd import listing, publish, transcript
from scriberrd.api.params import Params, job_id, parse
from scriberrd.api.rooms import ROOMS
from scriberrd.errors import TranscriptNotReady
from scriberrd.formats import FORMATS
from scriberrd.model import Format, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scriberrd.listing import Output

routes = web.RouteTableDef()

CONTENT_TYPES: dict[Format, str] = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}


class Wanted(Params, frozen=True, kw_only=True):
    """How the transcript is written."""

    format: Format = "json"


@routes.get("/v1/jobs/{id}/transcript")
async def get(request: web.Request) -> web.Response:
    """The transcript of a completed job, or of one that is done anew: then the one of before."""
    store, id_ = request.app[ROOMS].store, job_id(request)
    wanted = parse(request.query, Wanted).format
    job = await store.read(listing.get, id_)
    if job.state is not JobState.COMPLETED and not job.outputs:
        raise TranscriptNotReady(f"job {id_} is {job.state}: it has no transcript")
    outputs = await store.read(listing.outputs, id_)
    body = await asyncio.to_thread(_load, outputs, wanted)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPES[wanted]})


def _load(outputs: Sequence[Output], wanted: Format) -> bytes:
    """The published file of that format, or one made from the published JSON."""
    published = {output.name.rpartition(b".")[2].decode("latin-1"): output for output in outputs}
    try:
        if wanted in published:
            return publish.read(*published[wanted])
        if "json" in published:
            return FORMATS[wanted](transcript.decode(publish.read(*published["json"])))
    except OSError as error:
        raise TranscriptNotReady(
            f"the published file can't be read, it was moved or removed: {error.strerror}"
        ) from error
    except ValueError as error:
        raise TranscriptNotReady(f"the published file was changed: {error}") from error
    raise TranscriptNotReady("there is no published file of this format, nor JSON to make it from")
