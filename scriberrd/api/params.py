"""What comes with a request, checked: every complaint names the field and what is allowed."""

from __future__ import annotations

import os
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin
from urllib.parse import parse_qs

import msgspec
from msgspec import inspect
from msgspec.structs import fields

from scriberrd.errors import InvalidRequest, JobNotFound
from scriberrd.queue.queries import LARGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aiohttp import web

T = TypeVar("T", bound="Params")


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters, or fields of a body: the base of each endpoint's own.

    A parameter that is `bytes` is a path, which need not be UTF-8.
    """


def parse_query(request: web.Request, kind: type[T], **otherwise: str) -> T:
    """The parameters of a request; `otherwise` has what counts where they say nothing.

    Of a parameter that is repeated the first counts, or all where `kind` has a tuple.

    Raises:
        InvalidRequest: see `parse`.
    """
    query = request.query
    several = {field.name for field in fields(kind) if get_origin(field.type) is tuple}
    given = {name: query.getall(name) if name in several else query[name] for name in query}
    if paths := {field.name for field in fields(kind) if field.type is bytes} & given.keys():
        # There, what is not UTF-8 stands as it was written, as if its name had a percent sign.
        raw = parse_qs(request.rel_url.raw_query_string, errors="surrogateescape")
        given |= {name: raw[name][0] for name in paths & raw.keys()}
    return parse(otherwise | given, kind)


def parse_body(body: bytes, kind: type[T]) -> T:
    """A JSON object, or nothing at all, as the fields of an endpoint.

    Raises:
        InvalidRequest: it is no JSON object, or see `parse`.
    """
    try:
        given = msgspec.json.decode(body or b"{}", type=dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not a JSON object: {error}") from error
    return parse(given, kind, text=False)


def parse(given: Mapping[str, Any], kind: type[T], *, text: bool = True) -> T:
    """What is given, as `kind` has it; with `text`, numbers are written as text.

    Raises:
        InvalidRequest: a field is unknown, missing, of the wrong type or out of range.
    """
    for name in given.keys() - set(kind.__struct_fields__):
        raise InvalidRequest(
            f"{name}: unknown field; known fields: {', '.join(kind.__struct_fields__)}"
        )
    for field in fields(kind):
        if field.required and field.name not in given:
            raise InvalidRequest(f"{field.name}: missing")
    hints = {field.name: field.type for field in fields(kind)}
    return kind(**{name: _parsed(name, given[name], hints[name], text) for name in given})


def _parsed(name: str, value: Any, hint: Any, text: bool) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise InvalidRequest(f"{name}: not a list")
        return tuple(_parsed(name, one, get_args(hint)[0], text) for one in value)
    if hint is bytes:
        return os.fsencode(value)
    try:
        return msgspec.convert(value, hint, strict=not text)
    except msgspec.ValidationError as error:
        shown = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
        raise InvalidRequest(f"{name}: {shown} is {_not_allowed(hint)}") from error


def _not_allowed(hint: Any) -> str:
    """What a value is that this type does not allow."""
    if NoneType in get_args(hint):  # it may be left out
        hint = next(one for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is Literal:
        return f"not one of {', '.join(get_args(hint))}"
    match inspect.type_info(hint):
        case inspect.EnumType(cls=cls):
            return f"not one of {', '.join(one.value for one in cls)}"
        case inspect.IntType(ge=int(least), le=int(most)):
            return f"not a whole number from {least} to {most}"
        case inspect.Metadata(extra_json_schema={"description": description}):
            return f"not {description}"
        case _:
            return f"not a {msgspec.json.schema(hint)['type']}"


def choose(name: str, value: str, allowed: Collection[str]) -> None:
    """Raise InvalidRequest unless the value is one of those."""
    if value not in allowed:
        raise InvalidRequest(f"{name}: {value!r} is not one of {', '.join(allowed)}")


def job_id(request: web.Request) -> int:
    """The id in the path of the request."""
    text = request.match_info["id"]
    if not (text.isascii() and text.isdecimal()):
        raise InvalidRequest(f"id: {text!r} is not a job ID")
    text = text.lstrip("0") or "0"
    id_ = int(text[: len(str(LARGEST)) + 1])  # of a number that is too large, enough to see that
    if id_ > LARGEST:
        raise JobNotFound(id_)
    return id_
