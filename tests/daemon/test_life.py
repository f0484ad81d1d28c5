"""Whether a daemon is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_server import Server, below

from scriberrd.inbox.watch import Watching
from scriberrd.life import STUCK, Life
from scriberrd.work.dispatch import Dispatcher
from scriberrd.work.machine import look
from scriberrd.work.means import Means

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with below(tmp_path) as made:
        yield made


@pytest.fixture
def watching(server: Server) -> dict[str, Watching]:
    return {one.name: Watching() for one in server.config.inboxes}


@pytest.fixture
async def life(server: Server, watching: dict[str, Watching]) -> Life:
    rooms = server.rooms
    means = Means(*(getattr(rooms, name) for name in Means._fields))
    return Life(rooms.live, rooms.store, rooms.clock, Dispatcher(means, look()), watching)


async def test_an_inbox_that_is_not_looked_at_any_more_is_ill(
    server: Server, life: Life, watching: dict[str, Watching]
) -> None:
    assert await life.well()  # no look has ended yet
    for one in watching.values():
        one.turned = server.clock.monotonic()
    server.clock.now += STUCK
    assert await life.well()
    watching["other"].turned += 1
    server.clock.now += 1
    assert not await life.well()


async def test_a_disk_that_can_not_be_written_is_no_illness(
    server: Server, life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    await server.store.run(lambda db: db.pragma("query_only", True))  # noqa: FBT003 - its value
    assert await life.well()
    assert "can't write to the database" in caplog.text
