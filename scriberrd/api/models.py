"""Speech recognition models: which are on this machine, and have one more."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from scriberrd import protocol
from scriberrd.api.params import Params
from scriberrd.files.models import CachedModel, cache, cached

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})?$"


class Wanted(Params, frozen=True, kw_only=True):
    """Which model is pulled."""

    model: Annotated[str, Meta(pattern=NAME, description="a name, or owner/name on the hub")]


class PullView(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is pulled, or was."""

    model: str
    state: Literal["pulling", "pulled"]
    repository: str
    license: str | None
    revision: str | None = None
    source: Literal["hub", "index"] | None = None
    bytes: int
    total: int | None = None


class Models(msgspec.Struct, frozen=True):
    """The models on this machine."""

    models: list[CachedModel]


async def find(rooms: Rooms) -> Models:
    """All models in the cache."""
    folder = cache(rooms.live.config.daemon.model_cache, os.environ)
    return Models(await rooms.folders.run(folder, cached, folder))


async def pull(rooms: Rooms, wanted: Wanted) -> web.Response | PullView:
    """Have a model in the cache."""
    news = await rooms.pull(wanted.model)
    if isinstance(news, protocol.Pulled):
        return PullView(
            model=wanted.model,
            state="pulled",
            repository=news.repository,
            license=news.license,
            revision=news.revision,
            bytes=news.bytes,
            total=news.bytes,
        )
    view = PullView(
        model=wanted.model,
        state="pulling",
        repository=news.repository,
        license=news.license,
        source=news.source,
        bytes=news.bytes,
        total=news.total,
    )
    return web.json_bytes_response(view, dumps=msgspec.json.encode, status=HTTPStatus.ACCEPTED)
