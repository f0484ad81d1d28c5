"""What happens to models: events, and nothing else of them is kept here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.queue.jobs.rows import record_event

if TYPE_CHECKING:
    import apsw

    from scriberrd import protocol


def pulling(db: apsw.Connection, model: str, *, news: protocol.Pulling, now: float) -> None:
    """Tell that a model is being downloaded, and how far that is."""
    facts = {"source": news.source, "bytes": news.bytes, "total": news.total}
    record_event(db, None, "pulling", now, model=model, **facts)


def pulled(db: apsw.Connection, model: str, *, news: protocol.Pulled, now: float) -> None:
    """Tell that a model has come."""
    facts = {"repository": news.repository, "revision": news.revision, "license": news.license}
    record_event(db, None, "pulled", now, model=model, **facts, bytes=news.bytes)


def pull_failed(db: apsw.Connection, model: str, *, detail: str, now: float) -> None:
    """Tell that a download has ended without the model."""
    record_event(db, None, "pull_failed", now, model=model, detail=detail)


def model_removed(db: apsw.Connection, model: str, *, now: float) -> None:
    """Tell that a model was deleted by order."""
    record_event(db, None, "model_removed", now, model=model)
