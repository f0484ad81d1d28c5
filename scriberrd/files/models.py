"""The models in the cache of the Hugging Face hub, without the hub's own library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scriberrd.files.home import home

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHTS = "model.bin"  # of a model that CTranslate2 can load


class CachedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is on this machine."""

    name: str  # its id on the hub
    revision: str
    bytes: int


def cache(given: str, environment: Mapping[str, str]) -> Path:
    """The folder of all models: the given one, or "" for the hub's own choice."""
    own = Path(environment.get("XDG_CACHE_HOME") or home(environment) / ".cache") / "huggingface"
    hub = environment.get("HF_HUB_CACHE") or Path(environment.get("HF_HOME") or own) / "hub"
    return Path(given or hub).expanduser()


def cached(folder: Path) -> list[CachedModel]:
    """All models in a cache, by name."""
    return [
        CachedModel(
            name="/".join(weights.parts[-4].split("--")[1:]),
            revision=weights.parts[-2],
            bytes=sum(file.stat().st_size for file in weights.parent.iterdir()),
        )
        for weights in sorted(folder.glob(f"models--*--*/snapshots/*/{WEIGHTS}"))
        if weights.exists()  # a link may lead nowhere
    ]
