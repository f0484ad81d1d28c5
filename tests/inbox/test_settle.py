from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scriberrd.inbox.scan import Found
from scriberrd.inbox.settle import Settling
from scriberrd.model import Identity


def found(path: bytes, version: int = 0) -> Found:
    return Found(path, Identity(1, 2, version, 4, 5))


def test_a_file_is_taken_when_it_is_the_same_at_a_later_look() -> None:
    settling = Settling(10)
    assert settling.update([found(b"x")], 100) == []
    assert settling.next_due(103) == 7
    assert settling.update([found(b"x")], 109.9) == []
    assert settling.update([found(b"x")], 110) == [found(b"x")]
    assert settling.next_due(110) is None


def test_a_change_begins_the_wait_anew() -> None:
    settling = Settling(10)
    settling.update([found(b"x", 0)], 0)
    assert settling.update([found(b"x", 1)], 50) == []
    assert settling.update([found(b"x", 1)], 59) == []
    assert settling.update([found(b"x", 1)], 60) == [found(b"x", 1)]


def test_a_file_that_vanished_is_forgotten() -> None:
    settling = Settling(10)
    settling.update([found(b"x")], 0)
    settling.update([], 5)
    assert settling.next_due(5) is None
    assert settling.update([found(b"x")], 10) == []


def test_without_settling_time_a_file_is_taken_at_once() -> None:
    assert Settling(0).update([found(b"x"), found(b"y")], 0) == [found(b"x"), found(b"y")]


def test_a_postponed_file_waits_unless_it_changes() -> None:
    settling = Settling(1)
    settling.postpone(found(b"x"), 100)
    settling.postpone(found(b"y"), 100)
    assert settling.next_due(70) == 30
    assert (len(settling), settling.waiting(70)) == (2, {})
    assert settling.update([found(b"x", 1), found(b"y")], 80) == []
    assert settling.waiting(80) == {b"x": 1}
    assert settling.update([found(b"x", 1), found(b"y")], 81) == [found(b"x", 1)]
    assert settling.update([found(b"y")], 100) == [found(b"y")]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5), st.dictionaries(st.sampled_from([b"x", b"y"]), st.integers(0, 1))
        ),
        max_size=30,
    )
)
def test_nothing_is_taken_early(looks: list[tuple[float, dict[bytes, int]]]) -> None:
    settling, settle, now = Settling(4), 4, 0.0
    since: dict[bytes, tuple[int, float]] = {}  # since when every look saw this version
    for passed, files in looks:
        now += passed
        since = {
            path: since[path] if path in since and since[path][0] == version else (version, now)
            for path, version in files.items()
        }
        settled = settling.update([found(path, files[path]) for path in files], now)
        expected = {path for path in files if now >= since[path][1] + settle}
        assert {file.path for file in settled} == expected
        for path in expected:
            del since[path]
