"""What several tests need."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from scriberrd.transcript import Block

if TYPE_CHECKING:
    from collections.abc import Callable


async def eventually(condition: Callable[[], object], *, within: float = 60.0) -> None:
    """Wait until the condition holds; fail when it does not in time (seconds)."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {condition}"
        await asyncio.sleep(0.01)


def block(number: int) -> Block:
    """Ten seconds in which nothing was said."""
    return Block(
        number=number,
        start=number * 10.0,
        end=number * 10.0 + 10,
        speech=0.0,
        language="en",
        language_probability=1.0,
        prompt="",
        segments=(),
        words=(),
    )
