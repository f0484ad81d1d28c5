"""Have a model in the cache, and tell how far its download is."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

from scriberrd.errors import TaskFailed
from scriberrd.protocol import Pull, Pulled, PullFailed, Pulling, PullReply
from scriberrd.worker import hub
from scriberrd.worker.describe import describe
from scriberrd.worker.engines import whisper_hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.worker.engines.whisper_hub import News

PAUSE = 0.2  # seconds between two replies about a download


def perform(order: Pull, send: Callable[[PullReply], None]) -> PullReply:
    """Do it: send how far it is on the way, and return the last reply."""
    repository = whisper_hub.repository(order.model)
    if repository is None:
        detail = (
            f"there is no model {order.model!r}; known are {whisper_hub.names()},"
            " and ids of the hub (owner/name)"
        )
        return PullFailed(code=None, detail=detail)
    try:
        return _pull(repository, order, send)
    except TaskFailed as error:
        return PullFailed(code=error.failure, detail=error.detail)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise
        traceback.print_exc()
        return PullFailed(code="internal_error", detail=describe(error))


def _pull(repository: str, order: Pull, send: Callable[[PullReply], None]) -> Pulled:
    cache = hub.folder_of_cache(order.model_cache)
    stated, sent = whisper_hub.known_license(repository), 0.0

    def tell(news: News) -> None:
        nonlocal stated, sent
        stated = news.license
        if time.monotonic() >= sent + PAUSE:
            sent = time.monotonic()
            send(
                Pulling(
                    repository=repository,
                    source=news.source,
                    license=stated,
                    bytes=news.done,
                    total=news.total,
                )
            )

    snapshot = whisper_hub.cached(repository, cache)
    if snapshot is None:
        snapshot = whisper_hub.download(repository, cache, tell)
    return Pulled(
        repository=repository,
        revision=snapshot.name,
        license=stated,
        bytes=sum(file.stat().st_size for file in snapshot.iterdir()),
    )
