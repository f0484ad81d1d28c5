"""What is at fault is left alone, then tried by one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from scriberrd.config import Retry
from scriberrd.units import Seconds
from scriberrd.work.breaker import Breaker, Key

KEY, OTHER = Key("pool", "gpu"), Key("pool", "cpu")


@dataclass
class TestClock:
    __test__ = False
    now: float = 0.0

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def rung() -> list[int]:
    return []


@pytest.fixture
def breaker(clock: TestClock, rung: list[int]) -> Breaker:
    retry = Retry(backoff=Seconds(10), backoff_max=Seconds(35))
    return Breaker(lambda: retry, clock, lambda: rung.append(1))


def test_one_tries_when_it_is_time_and_what_works_is_free(
    breaker: Breaker, clock: TestClock, rung: list[int]
) -> None:
    assert breaker.wait(KEY) == 0
    breaker.trip(KEY, "device_unavailable", "gone")
    assert 5 <= breaker.wait(KEY) <= 10
    assert breaker.wait(OTHER) == 0
    clock.now += 10
    assert breaker.wait(KEY) == 0
    breaker.enter([KEY, OTHER], job=1)
    assert breaker.wait(KEY) == math.inf
    assert [pause.next_try for pause in breaker.outages()] == [None]
    rung.clear()
    breaker.close([KEY, OTHER])
    assert breaker.wait(KEY) == 0
    assert (breaker.outages(), len(rung)) == ((), 1)


def test_the_pauses_grow_up_to_the_longest(breaker: Breaker, clock: TestClock) -> None:
    for longest in (10, 20, 35, 35):
        breaker.trip(KEY, "device_unavailable", "gone")
        assert longest / 2 <= breaker.wait(KEY) <= longest
        before = breaker.wait(KEY)
        breaker.trip(KEY, "device_unavailable", "gone")  # another one that had begun before
        assert breaker.wait(KEY) == before
        clock.now += longest
        breaker.enter([KEY], job=1)
    breaker.close([KEY])
    breaker.trip(KEY, "device_unavailable", "gone")
    assert breaker.wait(KEY) <= 10


def test_it_is_tried_at_once_when_told(breaker: Breaker, clock: TestClock, rung: list[int]) -> None:
    breaker.trip(KEY, "device_unavailable", "gone")
    rung.clear()
    breaker.try_now()
    assert (breaker.wait(KEY), len(rung)) == (0, 1)
    assert breaker.reopened()
    clock.now += 1
    breaker.trip(KEY, "device_unavailable", "gone")
    assert breaker.wait(KEY) >= 10
    clock.now += 100
    breaker.enter([KEY], job=1)
    breaker.try_now()  # one does
    assert breaker.wait(KEY) == math.inf


def test_what_was_put_off_is_due_when_a_pause_ends(breaker: Breaker) -> None:
    assert [breaker.reopened(), breaker.reopened()] == [True, False]  # those of an earlier daemon
    breaker.trip(KEY, "device_unavailable", "gone")
    breaker.close([OTHER])
    assert not breaker.reopened()
    breaker.close([KEY])
    assert [breaker.reopened(), breaker.reopened()] == [True, False]


def test_no_backoff_is_no_reason_to_try_all_the_time(clock: TestClock) -> None:
    retry = Retry(backoff=Seconds(0), backoff_max=Seconds(0))
    breaker = Breaker(lambda: retry, clock, lambda: None)
    for _ in range(2):
        breaker.trip(KEY, "device_unavailable", "gone")
        assert breaker.wait(KEY) > 0
        clock.now += 1


def test_who_ends_without_having_tried_leaves_it_to_the_next(
    breaker: Breaker, clock: TestClock, rung: list[int]
) -> None:
    breaker.trip(KEY, "device_unavailable", "gone")
    clock.now += 10
    breaker.enter([KEY], job=1)
    breaker.enter([KEY], job=2)
    breaker.leave(2)
    assert breaker.wait(KEY) == math.inf
    rung.clear()
    breaker.leave(1)
    assert (breaker.wait(KEY), len(rung)) == (0, 1)


def test_a_pause_tells_what_since_when_and_until_when(breaker: Breaker, clock: TestClock) -> None:
    breaker.trip(KEY, "device_unavailable", "gone")
    (pause,) = breaker.outages()
    assert (pause.part, pause.name) == ("pool", "gpu")
    assert (pause.code, pause.detail) == ("device_unavailable", "gone")
    assert pause.since == clock.time()
    assert pause.next_try == pytest.approx(clock.time() + breaker.wait(KEY))
