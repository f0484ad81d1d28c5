"""The HTTP of the standard library, without what it loads for https: a third of the time to start.

Requests only travel over a Unix socket.
"""

from __future__ import annotations

import sys
from typing import Any, cast

WITHOUT = "ssl" not in sys.modules
if WITHOUT:
    sys.modules["ssl"] = cast("Any", None)  # looks as where Python was built without it

from http.client import (  # noqa: E402 - only now
    HTTPConnection,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
)

if WITHOUT:
    del sys.modules["ssl"]

__all__ = ["HTTPConnection", "HTTPException", "HTTPMessage", "HTTPResponse"]
