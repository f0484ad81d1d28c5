from __future__ import annotations

import threading
from contextlib import closing

import pytest

from scriberrd.worker.threads import prefetch, side_by_side


def test_prefetch_is_one_ahead_and_passes_errors_on() -> None:
    def failing() -> list[int]:
        raise ValueError("in the thread")

    def items() -> object:
        yield 1
        yield 2
        yield failing()

    got = prefetch(items())  # type: ignore[type-var,arg-type]
    assert [next(got), next(got)] == [1, 2]
    with pytest.raises(ValueError, match="in the thread"):
        next(got)


def test_results_come_in_order_however_long_each_takes() -> None:
    last = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert last.wait(30)  # the first one ends last
        if number == 3:
            last.set()
        return number

    assert list(side_by_side(work, iter(range(6)), 4, lambda: 4)) == list(range(6))


def test_no_more_are_in_progress_than_allowed() -> None:
    widths, now, most = [1], 0, []
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal now
        with lock:
            now += 1
            most.append(now)
        threading.Event().wait(0.01)
        with lock:
            now -= 1
        return number

    for number in side_by_side(work, iter(range(30)), 8, lambda: widths[-1]):
        if number == 9:
            assert max(most) == 1
            widths.append(3)
    assert max(most) in (2, 3)


def test_an_error_comes_in_its_turn_and_ends_the_work() -> None:
    taken = []

    def items() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number == 2:
            raise ValueError("in a thread")
        return number

    with closing(side_by_side(work, items(), 2, lambda: 2)) as found:  # type: ignore[arg-type]
        assert [next(found), next(found)] == [0, 1]
        with pytest.raises(ValueError, match="in a thread"):
            next(found)
    assert len(taken) < 10
