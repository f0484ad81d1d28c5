from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from child import AUDIO, Child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """The truth about the recordings of test-audio."""
    truth: dict[str, Any] = json.loads((AUDIO / "expected.json").read_text())
    return truth


@pytest.fixture(scope="module")
def worker() -> Iterator[Child]:
    """A worker that the tests of a module share: it must stay usable whatever they do."""
    child = Child()
    yield child
    child.close()


@pytest.fixture
def spawn() -> Iterator[Callable[..., Child]]:
    """Makes workers of one's own."""
    children: list[Child] = []

    def start(**how: Any) -> Child:
        children.append(Child(**how))
        return children[-1]

    yield start
    for child in children:
        child.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:  # who shares a worker runs in the process that has it
        if item.path.parent == Path(__file__).parent and "worker" in getattr(
            item, "fixturenames", ()
        ):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
