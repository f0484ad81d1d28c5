"""Who asks for what is being done: known to all that a request calls, and to nobody else."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class Who(msgspec.Struct, frozen=True):
    """A user of the machine."""

    uid: int
    name: str  # the number again, where it has no name


_asking: ContextVar[Who | None] = ContextVar("asking", default=None)


def asking() -> Who | None:
    """The user whose request this is part of; None: the daemon acts by itself."""
    return _asking.get()


@contextlib.contextmanager
def asked_by(who: Who | None) -> Iterator[None]:
    """All that is done within is asked for by this user."""
    before = _asking.set(who)
    try:
        yield
    finally:
        _asking.reset(before)
