"""The transcript of a job, as it was published or in another format."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from aiohttp import web

from scriberrd import transcript
from scriberrd.api import partial
from scriberrd.api.params import Params, job_id, parse_query
from scriberrd.errors import TranscriptNotReady
from scriberrd.files import sources
from scriberrd.files.folders import start
from scriberrd.model import JobState
from scriberrd.output import published
from scriberrd.output.formats import FORMATS
from scriberrd.queue import queries
from scriberrd.settings import Format

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scriberrd.api.rooms import Rooms
    from scriberrd.files.folders import Folders
    from scriberrd.queue.columns import Output
    from scriberrd.settings import SpeakerLabels

log = logging.getLogger(__name__)

EDITED = "Scriberrd-Edited"  # a header: somebody has edited a file since it was published
PIECE = 1 << 18  # bytes that are read and sent at once


class Wanted(Params, frozen=True, kw_only=True):
    """How the transcript is written."""

    format: Format = "json"
    partial: bool = False


async def get(rooms: Rooms, request: web.Request) -> web.StreamResponse:
    """The transcript of a completed job, or of one that is done anew: then the one of before.

    What there is so far of one that is not completed, if that will do.
    """
    id_, given = job_id(request), parse_query(request, Wanted)
    wanted, job = given.format, await rooms.store.read(queries.get, id_)
    if given.partial and job.state is not JobState.COMPLETED:
        return await partial.answer(rooms.store, request, id_, wanted)
    if job.state is not JobState.COMPLETED and not job.outputs:
        raise TranscriptNotReady(f"job {id_} is {job.state}: it has no transcript")
    inbox = rooms.live.config.inbox(job.inbox)
    if inbox is None:
        raise TranscriptNotReady(f"no inbox {job.inbox!r} is configured any longer")
    outputs = await rooms.store.read(queries.outputs, id_)
    try:
        labels = job.settings.speaker_labels
        return await _answer(rooms.folders, request, inbox.output, outputs, wanted, labels)
    except OSError as error:
        raise TranscriptNotReady(
            f"can't read the published file; it was moved or removed: {error.strerror}"
        ) from error
    except ValueError as error:
        raise TranscriptNotReady(f"the published file was changed: {error}") from error


async def _answer(
    folders: Folders,
    request: web.Request,
    root: Path,
    outputs: Sequence[Output],
    wanted: Format,
    labels: SpeakerLabels,
) -> web.StreamResponse:
    """The newest file of that format as it is, or one made from the newest JSON."""
    newest = {output.suffix: output for output in outputs if not output.edited}
    output = newest.get(wanted) or newest.get("json")
    if output is None:
        raise TranscriptNotReady("no published file of this format, and no JSON to create it from")
    file = await folders.open(root, sources.open_source, root, output.name)
    try:
        size, print_ = await folders.run(root, published.inspect, file, output.prints)
        edited = print_ is None or any(o.edited and o.suffix == output.suffix for o in outputs)
        headers = {"Content-Type": FORMATS[wanted].media_type} | (
            {EDITED: "true"} if edited else {}
        )
        if output.suffix != wanted:
            body = await folders.run(root, _convert, root, output.name, wanted, labels)
            return web.Response(body=body, headers=headers)
        first = await folders.run(root, os.pread, file, PIECE, 0)
        response = web.StreamResponse(headers=headers)
        response.content_length = size
        await response.prepare(request)
        if request.method != "HEAD":
            await _send(folders, response, root, file, first)
        return response
    finally:
        start(os.close, file)


async def _send(
    folders: Folders, response: web.StreamResponse, root: Path, file: int, piece: bytes
) -> None:
    sent, size = 0, response.content_length or 0
    try:
        while sent < size and piece:
            await response.write(piece[: size - sent])
            sent += len(piece)
            piece = await folders.run(root, os.pread, file, PIECE, sent)
    except OSError as error:  # too late for a status: the client sees that some of it is missing
        log.info("a transcript was not sent completely: %s", error)
    if sent < size:
        response.force_close()


def _convert(root: Path, name: bytes, wanted: Format, labels: SpeakerLabels) -> bytes:
    text = transcript.decode(published.read(root, name))
    return b"".join(FORMATS[wanted].render(text, labels))
