"""What has happened since the daemon began, told by its events: what its metrics count."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import apsw

WINDOW = 1000  # events that are looked at in one step

# A run ends at the moment of the event that tells of it.
_HAPPENED = """
    SELECT event.id, event.type, event.data ->> 'code', job.inbox, job.cached,
           worker, model, device, outcome, returncode, audio_seconds,
           download_seconds, load_seconds, transcribe_seconds, diarize_seconds
    FROM event LEFT JOIN job ON job.id = event.job
    LEFT JOIN execution ON execution.job = event.job AND execution.finished_at = event.at
        AND event.type IN ('finished', 'failed', 'retried', 'released', 'canceled', 'superseded')
    WHERE event.id > ? ORDER BY event.id LIMIT ?
"""


class Run(NamedTuple):
    """A run that has ended."""

    worker: str
    model: str | None  # None: it transcribed nothing
    device: str | None
    outcome: str
    returncode: int | None  # None: its worker lives
    audio_seconds: float
    download_seconds: float | None
    load_seconds: float | None
    transcribe_seconds: float | None
    diarize_seconds: float | None


class Happened(NamedTuple):
    """Something that has happened."""

    id: int
    type: str  # as in model.Event
    code: str | None  # of a failure
    inbox: str | None  # None: the job is forgotten, or it is about none
    cached: bool  # the words of the job came from the library
    run: Run | None  # that has ended with it


def happened(db: apsw.Connection, after: int) -> list[Happened]:
    """Events with ids greater than `after`, oldest first."""
    return [
        Happened(id_, type_, code, inbox, bool(cached), None if run[0] is None else Run(*run))
        for id_, type_, code, inbox, cached, *run in db.execute(_HAPPENED, (after, WINDOW))
    ]


class Waiting(NamedTuple):
    """Jobs of an inbox that have not ended."""

    state: str
    inbox: str
    priority: int
    jobs: int
    since: float  # when the first of them was queued, or began


def waiting(db: apsw.Connection) -> list[Waiting]:
    """The jobs that have not ended, by state, inbox and priority."""
    rows = db.execute(
        """
        SELECT state, inbox, priority, count(*), min(queued_at) FROM job
        WHERE finished_at IS NULL AND state = 'queued' GROUP BY inbox, priority
        UNION ALL
        SELECT state, inbox, priority, count(*), min(started_at) FROM job
        WHERE finished_at IS NULL AND state = 'processing' GROUP BY inbox, priority
        """
    )
    return [Waiting(*row) for row in rows]
