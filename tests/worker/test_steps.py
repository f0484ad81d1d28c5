"""What a worker says that it does before it gets on."""

from __future__ import annotations

from scriberrd.worker.steps import step, told_to


def test_a_step_within_another_comes_back_to_it() -> None:
    told: list[str | None] = []
    with step("nobody hears of it"), told_to(told.append):
        pass
    with told_to(told.append), step("loading"), step("downloading"):
        pass
    assert told == ["loading", "downloading", "loading", None]
