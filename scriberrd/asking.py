"""Who asks for what is being done: known to all that a request calls, and to nobody else."""

from __future__ import annotations

import contextlib
import pwd
from contextvars import ContextVar
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class Who(msgspec.Struct, frozen=True):
    """A user of the machine."""

    uid: int
    name: str  # see `user_name`


def user_name(uid: int) -> str:
    """The name of a user; the number again, where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


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
