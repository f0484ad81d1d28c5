"""The hours of the day: over midnight, and when the clock on the wall is set."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from scriberrd.hours import Hours

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Written out, since not every machine has a database of zones.
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("hours", "moment", "included"),
    [
        ("", "2025-01-15T12:00", True),
        ("09:00-17:00", "2025-01-15T07:59:59", False),  # UTC: an hour less in winter
        ("09:00-17:00", "2025-01-15T08:00", True),
        ("09:00-17:00", "2025-01-15T15:59:59", True),
        ("09:00-17:00", "2025-01-15T16:00", False),
        ("09:00-17:00", "2025-07-15T07:00", True),  # two in summer
        ("22:00-07:00", "2025-01-15T20:59", False),
        ("22:00-07:00", "2025-01-15T21:00", True),
        ("22:00-07:00", "2025-01-15T23:00", True),  # midnight
        ("22:00-07:00", "2025-01-16T05:59", True),
        ("22:00-07:00", "2025-01-16T06:00", False),
        ("22:00-00:00", "2025-01-15T22:59", True),
        ("22:00-00:00", "2025-01-15T23:00", False),
        ("00:00-24:00", "2025-01-15T22:59:59", True),
        ("06:00-07:00,12:00-13:00 , 22:00-01:00", "2025-01-15T11:30", True),
        ("06:00-07:00,12:00-13:00 , 22:00-01:00", "2025-01-15T23:30", True),
        ("06:00-07:00,12:00-13:00 , 22:00-01:00", "2025-01-15T12:30", False),
    ],
)
def test_windows(hours: str, moment: str, included: bool) -> None:
    assert Hours.read(hours).include(utc(moment)) is included


def test_the_hour_that_is_left_out_is_nobodys() -> None:
    minutes = [utc("2025-03-30T00:00") + 60 * n for n in range(180)]
    assert not any(Hours.read("02:00-03:00").include(minute) for minute in minutes)
    assert sum(Hours.read("01:30-03:30").include(minute) for minute in minutes) == 60


def test_the_hour_that_comes_twice_counts_twice() -> None:
    minutes = [utc("2025-10-25T23:00") + 60 * n for n in range(240)]
    assert sum(Hours.read("02:00-03:00").include(minute) for minute in minutes) == 120


@pytest.mark.parametrize(
    "value",
    [
        *("9:00-17:00", "09:00", "09:00-", "09:00-25:00", "24:00-01:00", "09:00-24:01"),
        *("09:00-09:00", "09:00-17:00,", ",", "09:60-10:00", "always", 9, None, True),
    ],
)
def test_what_is_no_window(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the reader's business
        Hours.read(value)


def test_when_to_look_again() -> None:
    noon = utc("2025-01-15T12:00")
    assert Hours.read("09:00-17:00").look_again(noon) == 60
    assert Hours.read("09:00-17:00").look_again(noon + 59.5) == 0.5
    assert Hours.read("").look_again(noon) is None
