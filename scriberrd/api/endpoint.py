"""What an endpoint of the API is."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from scriberrd.api.params import Params
    from scriberrd.errors import ScriberrdError

JSON = "application/json"


class Endpoint(NamedTuple):
    """What a client can ask for, and what answers it.

    The handler is given the rooms, and then what the endpoint has of these: the id in the path, the
    parameters, the body. What it returns is the answer: a value for JSON, or a response. One that
    reads or writes a stream, or waits, is given the rooms and the request as it is.
    """

    method: str
    path: str
    summary: str
    handler: Callable[..., Awaitable[object]]
    result: type[msgspec.Struct] | None  # or each event of a stream; None: text, or a file
    parameters: type[Params] | None = None
    body: type[Params] | None = None
    streams: bool = False
    head: bool = True  # whether HEAD is served beside GET: not where the answer has no end
    # What the description of the API has besides: see openapi.py.
    errors: tuple[type[ScriberrdError], ...] = ()  # beside those that every endpoint has
    statuses: tuple[HTTPStatus, ...] = (HTTPStatus.OK,)  # of answers that are no error
    media: tuple[str, ...] = (JSON,)
    asks: tuple[str, ...] = ()  # headers of the request that it heeds
