"""Speech recognition models: which are on this machine, and have one more."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
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
    revision: str | None
    source: Literal["hub", "index"] | None
    bytes: int
    total: int | None


class Models(msgspec.Struct, frozen=True):
    """The models on this machine."""

    models: list[CachedModel]


async def find(rooms: Rooms) -> Models:
    """All models in the cache."""
    folder = cache(rooms.live.config.daemon.model_cache, os.environ)
    return Models(await rooms.folders.run(folder, cached, folder))


async def pull(rooms: Rooms, wanted: Wanted) -> PullView:
    """Have a model in the cache; answers as soon as it is known how."""
    news = await rooms.pull(wanted.model)
    pulled = news if isinstance(news, protocol.Pulled) else None
    pulling = news if isinstance(news, protocol.Pulling) else None
    return PullView(
        model=wanted.model,
        state="pulled" if pulled else "pulling",
        repository=news.repository,
        license=news.license,
        revision=pulled.revision if pulled else None,
        source=pulling.source if pulling else None,
        bytes=news.bytes,
        total=pulling.total if pulling else news.bytes,
    )
