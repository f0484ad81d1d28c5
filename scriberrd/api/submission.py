"""The three ways to submit a recording: its path, a form, or its bytes."""

from __future__ import annotations

import contextlib
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, hdrs
from aiohttp.http_exceptions import HttpProcessingError

from scriberrd import overrides
from scriberrd.api.params import Params, choose, parse, parse_body, parse_query
from scriberrd.errors import InvalidRequest, PathOutsideInbox, ShuttingDown, UploadTooLarge
from scriberrd.settings import PriorityName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp import MultipartReader, web

    from scriberrd.api.rooms import Rooms
    from scriberrd.config import Config, Inbox
    from scriberrd.model import Job

CHUNK = 256 * 1024  # bytes
PLAIN = {  # what the headers of a part may say: nothing that its bytes would have to be decoded by
    hdrs.CONTENT_TRANSFER_ENCODING: ("7bit", "8bit", "binary"),
    hdrs.CONTENT_ENCODING: ("identity",),
}
STOPPING = "scriberrd is stopping: submit the recording again once it runs"


class Options(Params, frozen=True, kw_only=True):
    """What a submission may say."""

    inbox: str | None = None
    profile: str | None = None
    priority: PriorityName | None = None
    set: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, str]:
        """What is set over the profile; the priority is one of it."""
        return overrides.read(self.set) | ({"priority": self.priority} if self.priority else {})


class ByPath(Options, frozen=True, kw_only=True):
    """A recording that lies in an inbox."""

    path: str


class ByName(Options, frozen=True, kw_only=True):
    """A recording whose bytes are the body."""

    name: str


async def submit(rooms: Rooms, request: web.Request) -> tuple[Job, bool]:
    """Hand the recording of this request to the intake."""
    if request.content_type == "application/json":
        return await _by_path(rooms, await request.read())
    if request.content_type == "multipart/form-data":
        with _malformed():
            form = await request.multipart()
        return await _by_form(rooms, form)
    given, largest = parse_query(request, ByName), rooms.live.config.daemon.max_upload
    if (request.content_length or 0) > largest:  # before any of it is read
        raise UploadTooLarge(f"more than daemon.max_upload ({largest} bytes)")
    return await _receive(rooms, given, given.name, request.content.iter_chunked(CHUNK))


async def _by_path(rooms: Rooms, body: bytes) -> tuple[Job, bool]:
    given = parse_body(body, ByPath)
    inbox, path = locate(rooms.live.config, given.path, _inbox(rooms.live.config, given))
    return await rooms.intake.accept(inbox, path, profile=given.profile, given=given.given)


async def _by_form(rooms: Rooms, form: MultipartReader) -> tuple[Job, bool]:
    fields: dict[str, Any] = {}
    while True:
        with _malformed():
            part = await form.next()
            if part is None:
                raise InvalidRequest("file: missing in the form")
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise InvalidRequest("a part of the form has no name")
            filename = part.filename or ""
        _check_plain(part, part.name)
        if part.name == "file":
            given = parse(fields, Options)
            return await _receive(rooms, given, filename, _chunks(part))
        if part.name not in Options.__struct_fields__:
            raise InvalidRequest(f"{part.name}: unknown field before the file")
        with _malformed():
            text = (await part.read()).decode()  # so much of it as of any request
        fields[part.name] = [*fields.get("set", ()), text] if part.name == "set" else text


def _check_plain(part: BodyPartReader, name: str) -> None:
    for header, allowed in PLAIN.items():
        if (value := part.headers.get(header, allowed[0])).strip().lower() not in allowed:
            raise InvalidRequest(f"{name}: {header}: {value!r} is not one of {', '.join(allowed)}")
    charset = part.get_charset("utf-8")
    if name != "file" and charset.lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise InvalidRequest(f"{name}: the charset {charset!r} is not utf-8")


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while not part.at_eof():
        with _malformed():
            chunk = await part.read_chunk(CHUNK)
        yield chunk


@contextlib.contextmanager
def _malformed() -> Iterator[None]:
    # What the form's reader raises for a form that is cut short or is none.
    try:
        yield
    except HttpProcessingError as error:
        raise InvalidRequest(f"the form is malformed: {error.message}") from error
    except (ValueError, AssertionError, RuntimeError) as error:
        raise InvalidRequest(f"the form is malformed: {error}") from error


async def _receive(
    rooms: Rooms, given: Options, name: str, chunks: AsyncIterator[bytes]
) -> tuple[Job, bool]:
    inbox = _inbox(rooms.live.config, given) or next(iter(rooms.live.config.inboxes), None)
    if inbox is None:
        raise InvalidRequest("inbox: no inbox is configured")
    chunks = _until_stopping(rooms, chunks)
    return await rooms.intake.receive(inbox, name, chunks, profile=given.profile, given=given.given)


async def _until_stopping(rooms: Rooms, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            if rooms.stopping():
                raise ShuttingDown(STOPPING)
            yield chunk
    except ConnectionError as error:  # an OSError, but not one of the inbox
        raise InvalidRequest("the upload was interrupted") from error


def _inbox(config: Config, given: Options) -> Inbox | None:
    """The inbox that is named, if one is; what is named must exist."""
    if given.inbox is None:
        return None
    choose("inbox", given.inbox, [inbox.name for inbox in config.inboxes])
    return config.inbox(given.inbox)


def locate(config: Config, text: str, named: Inbox | None) -> tuple[Inbox, bytes]:
    """The inbox that a path lies in, and the path within; the file system is not asked.

    Args:
        config: has the inboxes.
        text: an absolute path, or one relative to the inbox that is named.
        named: the inbox that is named, if any.

    Raises:
        PathOutsideInbox: it lies in none, or not in the one that is named.
    """
    path, outside = PurePosixPath(text), PathOutsideInbox("the path is not in an inbox")
    if "\0" in text or ".." in path.parts:
        raise outside
    if not path.is_absolute():
        if named is None:
            raise InvalidRequest("path: a relative path needs an inbox")
        path = PurePosixPath(named.path, path)
    homes = [
        inbox
        for inbox in ([named] if named else config.inboxes)
        if path.is_relative_to(inbox.path) and path != PurePosixPath(inbox.path)
    ]
    if not homes:
        raise outside
    home = max(homes, key=lambda inbox: len(inbox.path.parts))  # inboxes may be nested
    return home, os.fsencode(path.relative_to(home.path))
