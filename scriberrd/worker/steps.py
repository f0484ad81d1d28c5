"""What a worker does before it gets on with a recording, for those who wait for it."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tell = Callable[[str | None], None]

_tell: ContextVar[Tell] = ContextVar("tell", default=lambda _: None)

_step: ContextVar[str | None] = ContextVar("step", default=None)


@contextlib.contextmanager
def told_to(tell: Tell) -> Iterator[None]:
    """Steps that begin in here are told to this one."""
    former = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(former)


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """In here it is at a step, such as "loading the model"; one may be a part of another."""
    tell, former = _tell.get(), _step.set(name)
    tell(name)
    try:
        yield
    finally:
        _step.reset(former)
        tell(_step.get())
