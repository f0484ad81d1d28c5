from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_server import Server, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with serve(tmp_path_factory.mktemp("s")) as running:
        yield running
