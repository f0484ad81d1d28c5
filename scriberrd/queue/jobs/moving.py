"""A recording that was renamed before it was transcribed takes its job along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scriberrd.model import JobState, display
from scriberrd.queue import queries
from scriberrd.queue.jobs.knowing import MISSING, take_in
from scriberrd.queue.jobs.rows import encode, record_event, requeue, update
from scriberrd.queue.jobs.submission import adjust

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from scriberrd.model import Job, Source
    from scriberrd.queue.jobs.rows import Order

COPIES = 20  # jobs about the same bytes that are looked at: there may be 50,000


def movable(db: apsw.Connection, sources: Iterable[Source]) -> list[tuple[Source, Job]]:
    """The jobs that files may have had under another name, where nothing is known of their own.

    They have not been begun, and nothing is published of them; whether the file has left their
    name, only its folder can tell.
    """
    return [(source, one) for source in sources for one in _movable(db, source)]


def move_along(
    db: apsw.Connection, id_: int, source: Source, *, order: Order | None, now: float
) -> Job | None:
    """Have a job go on under the name that its recording has now; None if it no longer can.

    Args:
        db: the queue.
        id_: of the job.
        source: the recording under its new name.
        order: how the job is to be done there; None: as before.
        now: the time.
    """
    found = next((one for one in _movable(db, source) if one.id == id_), None)
    if found is None:
        return None
    if order is not None:
        adjust(db, found, order)
    take_in(db, source.inbox, source.path)
    names = {"from": display(found.path), "to": display(source.path)}
    record_event(db, id_, "moved", now, **names)
    moved = update(
        db,
        id_,
        {"path": source.path, "identity": encode(source.identity), "uploaded": 0},
    )  # whoever renames our copy of an upload has made it his own
    if moved.state is JobState.FAILED:
        requeue(db, moved, now, "submitted")
    return queries.get(db, id_)


def _movable(db: apsw.Connection, source: Source) -> list[Job]:
    values = {
        "sha256": source.sha256,
        "inbox": source.inbox,
        "path": source.path,
        **source.identity._asdict(),  # an inode alone is given to another file in no time
    }
    found: list[Any] = db.execute(_COPIES, values).fetchall()
    if not found or db.execute(_NAMED, values).get:
        return []
    return [queries.get(db, id_) for (id_,) in found]


_COPIES = f"""
    SELECT id FROM (
        SELECT id, inbox, path, identity, state, error_code, published_at, redo FROM job
        WHERE sha256 = :sha256 ORDER BY id DESC LIMIT {COPIES}
    ) AS copy WHERE inbox = :inbox AND path <> :path
    AND (identity ->> 1, identity ->> 2, identity ->> 3) = (:inode, :size, :mtime_ns)
    AND (state = 'queued' OR (state = 'failed' AND error_code = '{MISSING}'))
    AND published_at IS NULL AND redo = 0
    AND NOT EXISTS (SELECT 1 FROM output WHERE output.job = copy.id)
    ORDER BY id
"""
_NAMED = """
    SELECT EXISTS (SELECT 1 FROM job WHERE inbox = :inbox AND path = :path)
        OR EXISTS (SELECT 1 FROM tombstone WHERE inbox = :inbox AND path = :path)
"""
