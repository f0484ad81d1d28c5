"""What was done, and how fast."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from scriberrd.api import views
from scriberrd.api.params import Params
from scriberrd.errors import InvalidRequest
from scriberrd.failures import FAILURES
from scriberrd.queue import figures
from scriberrd.queue.figures import Ended, Group, Speed

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms

END = datetime(9999, 12, 31, tzinfo=UTC).timestamp()  # no time in an answer is later
A_TIME = {"description": "a time such as 2026-11-26T12:00:00Z"}


class Wanted(Params, frozen=True, kw_only=True):
    """Which jobs are counted, and how they are told apart."""

    since: Annotated[datetime, Meta(tz=True, extra_json_schema=A_TIME)] | None = None
    by: Group = "day"


class EndedView(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that have ended: all of them, or those of a day, a user or an inbox."""

    key: str | None
    completed: int
    failed: int
    canceled: int
    hits: int
    audio_seconds: float


class SpeedView(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a model is on a device."""

    model: str
    device: str
    runs: int
    audio_seconds: float
    seconds: float
    real_time_factor: float | None


class FailedView(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs have failed of something."""

    code: str
    message: str
    jobs: int


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What was done since a time, as far as it is not forgotten."""

    since: str | None
    by: Group
    total: EndedView
    groups: list[EndedView]
    speeds: list[SpeedView]
    failures: list[FailedView]


async def stats(rooms: Rooms, wanted: Wanted) -> Stats:
    """What was done since a time, in groups."""
    since = 0.0 if wanted.since is None else wanted.since.timestamp()
    if since >= END:
        raise InvalidRequest(f"since: {str(wanted.since)!r} is not {A_TIME['description']}")
    first = await rooms.store.search(figures.first_end)
    found = figures.Figures(since, wanted.by)
    while await rooms.store.search(found.step):
        pass
    return Stats(
        since=None if first is None else views.instant(max(first, since)),
        by=wanted.by,
        total=_ended(None, functools.reduce(Ended.plus, found.ended.values(), Ended())),
        groups=[_ended(key, found.ended[key]) for key in sorted(found.ended, key=_last_if_none)],
        speeds=[
            _speed(model, device, speed)
            for (model, device), speed in sorted(found.speeds.items(), key=_most_first)
        ],
        failures=[
            FailedView(code=code, message=FAILURES[code].message, jobs=number)
            for code, number in found.failures.most_common()
            if code in FAILURES
        ],
    )


def _last_if_none(key: str | None) -> tuple[bool, str]:
    return key is None, key or ""


def _most_first(item: tuple[tuple[str, str], Speed]) -> float:
    return -item[1].audio_seconds


def _ended(key: str | None, ended: Ended) -> EndedView:
    return EndedView(key=key, **ended._asdict())


def _speed(model: str, device: str, speed: Speed) -> SpeedView:
    factor = speed.seconds / speed.audio_seconds if speed.audio_seconds > 0 else None
    return SpeedView(model=model, device=device, **speed._asdict(), real_time_factor=factor)
