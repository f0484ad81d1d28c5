from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_server import Server, below, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_aiohttp.plugin import AiohttpClient


@pytest.fixture
async def server(
    tmp_path_factory: pytest.TempPathFactory, aiohttp_client: AiohttpClient
) -> AsyncIterator[Server]:
    with below(tmp_path_factory.mktemp("s")) as running:
        running.http = await aiohttp_client(running.app)
        yield running
        await running.http.close()  # before the database is


@pytest.fixture
async def on_socket(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The server as the daemon has it: for those who speak HTTP by themselves, and for curl."""
    async with serve(tmp_path_factory.mktemp("s")) as running:
        yield running
