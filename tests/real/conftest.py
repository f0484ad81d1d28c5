from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from child import Child
from fetch import HUB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=["tiny.en", "base"])
def model(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def spawn() -> Iterator[Callable[[], Child]]:
    """Makes workers that find the real models."""
    children: list[Child] = []

    def start() -> Child:
        children.append(Child(env={"HF_HUB_CACHE": str(HUB), "HF_HUB_OFFLINE": "1"}))
        return children[-1]

    yield start
    for child in children:
        child.close()


@pytest.fixture
def worker(spawn: Callable[[], Child]) -> Child:
    return spawn()
