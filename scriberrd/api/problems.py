"""What every error looks like: RFC 9457, with the stable code of the error."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

VERSION_HEADER = "Scriberrd-Version"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error, as a client sees it."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str


def encoded(status: int, code: str, detail: str) -> bytes:
    """The body of an answer that is an error."""
    title = HTTPStatus(status).phrase
    detail = detail.encode("utf-8", "backslashreplace").decode()  # it may quote what is no text
    return msgspec.json.encode(Problem(title=title, status=status, code=code, detail=detail))
