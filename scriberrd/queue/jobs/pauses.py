"""Pauses: what is paused is queued, but not claimed. They last until somebody resumes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.model import Pause, Scope
from scriberrd.queue.jobs.rows import record_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw


def pause(db: apsw.Connection, scopes: Iterable[Scope], *, reason: str, now: float) -> list[Pause]:
    """Claim nothing of these scopes any more; running jobs finish. Gives all pauses.

    One that is paused already stays so from its first pause on, with the new reason.
    """
    for scope in scopes:
        changed = db.execute(
            "INSERT INTO pause VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, name) DO UPDATE SET reason = excluded.reason"
            " WHERE reason <> excluded.reason RETURNING 1",
            (*scope, reason, now),
        ).get
        if changed:
            record_event(db, None, "paused", now, **scope.names(), reason=reason)
    return paused(db)


def resume(db: apsw.Connection, scopes: Iterable[Scope], *, now: float) -> list[Pause]:
    """Lift the pauses of these scopes; of everything: all pauses. Gives those that are left."""
    wanted = set(scopes)
    for one in paused(db):
        if one.scope in wanted or Scope("everything") in wanted:
            db.execute("DELETE FROM pause WHERE (kind, name) = (?, ?)", one.scope)
            record_event(db, None, "resumed", now, **one.scope.names())
    return paused(db)


def reloaded(db: apsw.Connection, *, now: float) -> None:
    """Tell that another configuration is in force."""
    record_event(db, None, "reloaded", now)


def paused(db: apsw.Connection) -> list[Pause]:
    """All pauses, that of everything first."""
    rows = db.execute("SELECT kind, name, reason, since FROM pause ORDER BY kind, name")
    return [
        Pause(scope=Scope(kind, name), reason=reason, since=since)
        for kind, name, reason, since in rows
    ]
