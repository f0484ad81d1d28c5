"""What comes with a request, checked: every complaint names the field and what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args

import msgspec

from scriberrd.errors import InvalidRequest, JobNotFound
from scriberrd.model import Format, JobState
from scriberrd.queue.queries import LARGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aiohttp import web

T = TypeVar("T", bound="Params")

_CHOICES: dict[str, Collection[str]] = {
    "state": tuple(JobState),
    "format": get_args(Format),
}


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a route: the base of each route's own."""


def parse(given: Mapping[str, Any], kind: type[T], *, text: bool = True) -> T:
    """`given` as parameters of a route; with `text`, numbers are written as text.

    Raises:
        InvalidRequest: a field is unknown, missing, of the wrong type or out of range.
    """
    for name, allowed in _CHOICES.items():
        values = given.get(name)
        for value in values if isinstance(values, list) else [values]:
            if value is not None:
                choose(name, value, allowed)
    fields = kind.__struct_fields__
    for name in given.keys() - set(fields):
        raise InvalidRequest(f"{name}: unknown; allowed: {', '.join(fields)}")
    try:
        return msgspec.convert(given, kind, strict=not text)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from error


def parse_body(body: bytes, kind: type[T]) -> T:
    """A JSON object as the fields of a route.

    Raises:
        InvalidRequest: it is none, or see `parse`.
    """
    try:
        given = msgspec.json.decode(body, type=dict)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is no JSON object: {error}") from error
    return parse(given, kind, text=False)


def choose(name: str, value: str, allowed: Collection[str]) -> None:
    """Raise InvalidRequest unless the value is one of those."""
    if value not in allowed:
        raise InvalidRequest(f"{name}: {value!r} is none of {', '.join(allowed)}")


def job_id(request: web.Request) -> int:
    """The id in the path of the request."""
    text = request.match_info["id"]
    if not (text.isascii() and text.isdecimal()):
        raise InvalidRequest(f"id: {text!r} is not the number of a job")
    text = text.lstrip("0") or "0"
    id_ = int(text[: len(str(LARGEST)) + 1])  # of a number that is too large, enough to see that
    if id_ > LARGEST:
        raise JobNotFound(id_)
    return id_
