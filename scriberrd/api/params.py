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
        given = msgspec.json.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not a JSON object: {_malformed(error)}") from error
    if not isinstance(given, dict):
        raise InvalidRequest(f"the body is not a JSON object, but {_kind(given)}")
    return parse(given, kind, text=False)


def _malformed(error: Exception) -> str:
    """What is wrong with JSON, without the names of Python's types and functions."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if "truncated" in str(error):
        return "it ends too early"
    if isinstance(error, msgspec.ValidationError):
        return "it has a number that is too large"
    return str(error).removeprefix("JSON is malformed: ")  # "invalid character (byte 7)"


def _kind(value: object) -> str:
    """What a value is in JSON."""
    kinds: dict[type, str] = {
        list: "an array",
        str: "a string",
        bool: "a boolean",
        NoneType: "null",
    }
    return kinds.get(type(value), "a number")


def parse(given: Mapping[str, Any], kind: type[T], *, text: bool = True) -> T:
    """What is given, as `kind` has it; with `text`, numbers are written as text.

    Raises:
        InvalidRequest: a field is unknown, missing, of the wrong type or out of range.
    """
    known = {field.encode_name: field for field in fields(kind)}
    for name in given.keys() - known.keys():
        raise InvalidRequest(f"{name}: unknown field; known fields: {', '.join(known)}")
    for name, field in known.items():
        if field.required and name not in given:
            raise InvalidRequest(f"{name}: missing")
    return kind(
        **{known[name].name: _parsed(name, given[name], known[name].type, text) for name in given}
    )


def _parsed(name: str, value: Any, hint: Any, text: bool) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise InvalidRequest(f"{name}: {_shown(value)} is not a list")
        return tuple(_parsed(name, one, get_args(hint)[0], text) for one in value)
    if hint is bytes:
        return os.fsencode(value)
    try:
        return msgspec.convert(value, hint, strict=not text)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{name}: {_shown(value)} is {_not_allowed(hint)}") from error


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()


def _not_allowed(hint: Any) -> str:
    """What a value is that this type does not allow."""
    if NoneType in get_args(hint):  # it may be left out
        hint = next(one for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is Literal:
        return f"not one of {', '.join(get_args(hint))}"
    match inspect.type_info(hint):
        case inspect.EnumType(cls=cls):
            allowed = f"one of {', '.join(one.value for one in cls)}"
        case inspect.IntType(ge=int(least), le=int(most)):
            allowed = f"a whole number from {least} to {most}"
        case inspect.Metadata(extra_json_schema={"description": description}):
            allowed = description
        case inspect.BoolType():
            allowed = "true or false"
        case _:
            allowed = f"a {msgspec.json.schema(hint)['type']}"
    return f"not {allowed}"


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
