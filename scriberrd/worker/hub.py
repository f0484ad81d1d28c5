"""The cache of the Hugging Face hub, and what the hub refuses: the same for every kind of model."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from scriberrd.worker.describe import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Sequence


def folder_of_cache(model_cache: str) -> Path:
    """The folder of all models; "" is the hub's own choice."""
    return Path(model_cache or huggingface_hub.constants.HF_HUB_CACHE)


def cached(repository: str, cache: Path, patterns: Sequence[str]) -> Path | None:
    """The snapshot in the cache, whatever was downloaded of it; None where it can't be used."""
    try:
        return Path(
            huggingface_hub.snapshot_download(
                repository, allow_patterns=list(patterns), cache_dir=cache, local_files_only=True
            )
        )
    except Exception as error:  # the hub's library raises errors of many families
        if is_out_of_memory(error):
            raise
        return None


def is_refusal(error: BaseException | None) -> bool:
    """Whether the hub denied access."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    return error is not None and is_refusal(error.__cause__)
