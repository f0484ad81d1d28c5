"""Speech recognition models: which there are, and have one more, or one less."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, field

from scriberrd import protocol
from scriberrd.api.params import Params
from scriberrd.errors import (
    InvalidRequest,
    ModelInUse,
    ModelUnknown,
    NoAnswer,
    PullFailed,
    PurgeFailed,
)
from scriberrd.files import models
from scriberrd.files.folders import Heartbeat
from scriberrd.model import short
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from scriberrd.api.rooms import Rooms
    from scriberrd.files.models import CachedModel

log = logging.getLogger(__name__)

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})?$"
Name = Annotated[str, Meta(pattern=NAME, description="a name, or owner/name on the hub")]


class Wanted(Params, frozen=True, kw_only=True):
    """Which model is pulled, and from where if not from the hub."""

    model: Name
    from_: str | None = field(name="from", default=None)


class Named(Params, frozen=True, kw_only=True):
    """A model in the cache."""

    model: Name


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is on this machine, or may come."""

    name: str
    repository: str | None
    revision: str | None
    installed: bool
    default: bool
    bytes: int | None
    languages: Literal["en", "many"] | None
    translate: bool | None


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
    """The models on this machine, and those that have a name."""

    models: list[ModelView]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A model whose files were read."""

    model: str
    repository: str
    revision: str
    bytes: int
    damaged: list[models.Damaged]


async def find(rooms: Rooms) -> Models:
    """All models in the cache, then those of profiles in other folders, and those that may come."""
    folder = _cache(rooms)
    found = await rooms.folders.run(folder, models.cached, folder)
    wanted = {settings.model for settings in rooms.live.config.profiles.values()}
    used = {models.repository(name) for name in wanted}
    names = {repository: name for name, repository in models.NAMES.items()}
    there = {one.name for one in found}
    folders = [Path(one) for one in sorted(filter(os.path.isabs, wanted))]
    # All at once: of those that do not answer, nobody waits for one after the other.
    theirs = await asyncio.gather(*(_in_folder(rooms, one) for one in folders))
    return Models(
        [_view(names.get(one.name, one.name), one.name, one, used) for one in found]
        + theirs
        + [_view(name, id_, None, used) for id_, name in names.items() if id_ not in there]
    )


def _view(
    name: str, repository: str, found: CachedModel | None, used: set[str | None]
) -> ModelView:
    known = repository in models.NAMES.values()
    english = name.endswith(".en") or name.startswith("distil-")
    return ModelView(
        name=name,
        repository=repository,
        revision=found.revision if found else None,
        installed=found is not None,
        default=repository in used,
        bytes=found.bytes if found else None,
        languages=("en" if english else "many") if known else None,
        translate=not english and "turbo" not in name if known else None,
    )


async def _in_folder(rooms: Rooms, folder: Path) -> ModelView:
    """A model that a profile uses from a folder of its own, which may not be there."""
    whole = False
    with contextlib.suppress(NoAnswer, OSError):
        whole = not await rooms.folders.run(folder, models.lacking, folder)
    return ModelView(
        name=short(str(folder)),
        repository=None,
        revision=None,
        installed=whole,
        default=True,
        bytes=None,
        languages=None,
        translate=None,
    )


async def pull(rooms: Rooms, wanted: Wanted) -> PullView:
    """Have a model in the cache; answers as soon as it is known how."""
    news = await (rooms.pull(wanted.model) if wanted.from_ is None else _adopt(rooms, wanted))
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


async def _adopt(rooms: Rooms, wanted: Wanted) -> protocol.Pulled:
    """Copy a model from a folder of this machine."""
    given, repository = wanted.from_ or "", _repository(wanted.model)
    if not os.path.isabs(given) or "\0" in given:
        raise InvalidRequest("from: not the absolute path of a folder")
    source, heartbeat = Path(given), Heartbeat()
    copy = partial(models.adopt, source, _cache(rooms), repository, beat=heartbeat.beat)
    try:
        if lacks := await rooms.folders.run(source, models.lacking, source):
            raise InvalidRequest(f"from: the folder lacks {lacks}: it is no model of CTranslate2")
        found = await rooms.folders.follow(source, heartbeat, copy)
    except OSError as error:
        raise PullFailed(f"the model can't be copied into the cache: {error.strerror}") from error
    news = protocol.Pulled(
        repository=repository, revision=found.revision, license=None, bytes=found.bytes
    )
    now = rooms.clock.time()
    await rooms.store.run(jobs.pulled, wanted.model, news=news, now=now)
    log.info("model %s is in the cache: copied, revision %s", wanted.model, found.revision)
    rooms.try_now()
    return news


async def remove(rooms: Rooms, named: Named) -> Models:
    """Delete a model from the cache, unless something needs it."""
    repository, folder = _repository(named.model), _cache(rooms)
    await _installed(rooms, named.model)
    for profile, settings in rooms.live.config.profiles.items():
        if repository in map(models.repository, (settings.model, settings.fallback_model)):
            raise ModelInUse(f"the profile {profile} uses {named.model}: change its model first")
    for name, job in await rooms.store.search(queries.models_needed):
        if models.repository(name) == repository:
            raise ModelInUse(f"job {job} needs {named.model}: wait for it, or cancel it")
    try:
        await rooms.folders.run(folder, models.remove, folder, repository)
    except OSError as error:
        raise PurgeFailed(f"{named.model} can't be deleted: {error.strerror}") from error
    log.info("model %s removed from the cache", named.model)
    await rooms.store.run(jobs.model_removed, named.model, now=rooms.clock.time())
    return await find(rooms)


async def verify(rooms: Rooms, named: Named) -> Verified:
    """Read all files of a model, and compare them with what they were when they came."""
    found, folder = await _installed(rooms, named.model), _cache(rooms)
    heartbeat = Heartbeat()
    read = partial(models.damages, folder, found, beat=heartbeat.beat)
    damaged = await rooms.folders.follow(folder, heartbeat, read)
    for one in damaged:
        log.warning("model %s: %s: %s", named.model, one.file, one.problem)
    return Verified(
        model=named.model,
        repository=found.name,
        revision=found.revision,
        bytes=found.bytes,
        damaged=damaged,
    )


async def _installed(rooms: Rooms, name: str) -> CachedModel:
    repository, folder = _repository(name), _cache(rooms)
    found = await rooms.folders.run(folder, models.cached, folder)
    ours = [one for one in found if one.name == repository]
    if not ours:
        raise ModelUnknown(f"{name} is not in the cache")
    return ours[-1]


def _repository(name: str) -> str:
    found = models.repository(name)
    if found is None:
        known = ", ".join(models.NAMES)
        raise ModelUnknown(f"there is no model {name!r}; known are {known}, and ids of the hub")
    return found


def _cache(rooms: Rooms) -> Path:
    return models.cache(rooms.live.config.daemon.model_cache, os.environ)
