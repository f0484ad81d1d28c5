"""What a log line is about: set where work on it begins, read where the line is written."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypedDict, Unpack

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator


class Subject(TypedDict, total=False):
    """A job or an inbox, and how far into it one is."""

    job: int
    inbox: str
    path: str  # of the recording, in its inbox
    execution: int  # which run of the job
    worker: str
    stage: str  # that the run is at
    by: str  # the user who asks for it


_NOTHING = Subject()
_about: ContextVar[Subject] = ContextVar("about", default=_NOTHING)


@contextlib.contextmanager
def about(**what: Unpack[Subject]) -> Iterator[None]:
    """Have all that is logged in here say what it is about; also in tasks that begin in here."""
    former = _about.set({**_about.get(), **what})
    try:
        yield
    finally:
        _about.reset(former)


def note(**what: Unpack[Subject]) -> None:
    """Say more of what it is about by now, to all that share it."""
    if (here := _about.get()) is not _NOTHING:
        here.update(what)


def subject(record: logging.LogRecord) -> Subject:
    """What a line is about: kept with it from when it was written."""
    if not hasattr(record, "subject"):
        record.subject = Subject(**_about.get())
    kept: Subject = record.subject  # type: ignore[attr-defined]
    return kept


def called(what: Subject) -> str:
    """What stands before the message: "job 42 lectures/talk.wav: "."""
    if "job" in what:
        where = "/".join(filter(None, (what.get("inbox"), what.get("path"))))
        return f"job {what['job']}{' ' if where else ''}{where}: "
    return f"inbox {what['inbox']}: " if "inbox" in what else ""
