"""Every look at the jobs that people and rooms ask for; nothing here changes anything."""

from __future__ import annotations

import heapq
import unicodedata
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from scriberrd.asking import Who
from scriberrd.errors import JobNotFound
from scriberrd.model import Event, Execution, Job, JobState, display
from scriberrd.queue.columns import JOB_COLUMNS, LEFT, OUTPUT_COLUMNS, Output, Row, job, output
from scriberrd.queue.faults import translated
from scriberrd.transcript import BlockResult

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import apsw

LARGEST = 2**63 - 1  # what SQLite can hold
WINDOW = 5000  # jobs that are looked at in one step

_block = msgspec.json.Decoder(BlockResult).decode
_data = msgspec.json.Decoder(dict[str, str | int | float | Who | None]).decode


def get(db: apsw.Connection, id_: int) -> Job:
    """The job of that id; JobNotFound when there is none."""
    found = first(db, "id = ?", (id_,))
    if found is None:
        raise JobNotFound(id_)
    return found


def first(db: apsw.Connection, where: str, values: Row) -> Job | None:
    """The newest job of which an SQL condition is true, if any."""
    row = db.execute(
        f"SELECT {JOB_COLUMNS} FROM job WHERE {where} ORDER BY id DESC LIMIT 1", values
    ).get
    return None if row is None else job(row)


def find(
    db: apsw.Connection,
    *,
    states: Collection[JobState] = (),
    inbox: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Job]:
    """Jobs, newest first.

    Args:
        db: the database.
        states: only jobs in one of these; empty: in any.
        inbox: only jobs of this inbox.
        before: only jobs with smaller ids: where the page before this one ended.
        limit: how many at most.
    """
    values = {"before": LARGEST if before is None else before, "limit": limit}
    if not states and inbox is None:
        rows = db.execute(
            f"SELECT {JOB_COLUMNS} FROM job WHERE id < :before ORDER BY id DESC LIMIT :limit",
            values,
        )
        return [job(row) for row in rows]
    # Each inbox and state has its jobs in this order: the newest of all are among those of each.
    turns = [name for (name,) in db.execute("SELECT inbox FROM turn")] if inbox is None else [inbox]
    ids = heapq.nlargest(
        limit,
        (
            id_
            for name, state in product(turns, set(states) or JobState)
            for (id_,) in db.execute(
                _PROCESSING if state is JobState.PROCESSING else _LISTED,
                values | {"inbox": name, "state": state},
            )
        ),
    )
    return [get(db, id_) for id_ in ids]


_LISTED = """
    SELECT id FROM job WHERE inbox = :inbox AND state = :state AND state <> 'processing'
    AND id < :before ORDER BY id DESC LIMIT :limit
"""
# The plus keeps the query on the index of the order, where these few are together.
_PROCESSING = """
    SELECT id FROM job WHERE finished_at IS NULL AND state = 'processing' AND :state = state
    AND +inbox = :inbox AND +id < :before ORDER BY +id DESC LIMIT :limit
"""


def matching(
    db: apsw.Connection,
    text: str,
    *,
    states: Collection[JobState] = (),
    inbox: str | None = None,
    before: int | None = None,
    limit: int,
) -> tuple[list[Job], int | None]:
    """Jobs whose path contains this, in upper or lower case, among the newest `WINDOW`.

    No index knows them: many steps may be needed, and others get their turn in between.

    Returns:
        At most `limit` of them, newest first, and the `before` of the next step, if there is one.
    """
    before = LARGEST if before is None else before
    last: int = db.execute(
        "SELECT coalesce((SELECT id FROM job WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?), 0)",
        (before, WINDOW - 1),
    ).get
    db.create_scalar_function("folded", _folded_path, 1, deterministic=True)
    rows = db.execute(
        f"""
        SELECT {JOB_COLUMNS} FROM job
        WHERE id < :before AND id >= :last AND instr(folded(path), :text)
              AND (:any_state OR state IN (SELECT value FROM json_each(:states)))
              AND (:inbox IS NULL OR +inbox = :inbox)
        ORDER BY id DESC LIMIT :limit
        """,
        {
            "before": before,
            "last": last,
            "text": _folded(text),
            "any_state": not states,
            "states": msgspec.json.encode(list(states)).decode(),
            "inbox": inbox,
            "limit": limit,
        },
    )
    found = [job(row) for row in rows]
    if len(found) == limit:
        last = found[-1].id
    return found, last or None


def _folded(text: str) -> str:
    # SQLite folds ASCII only, and file systems differ in how they compose an umlaut.
    return text.casefold() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def _folded_path(*path: Any) -> str:
    return _folded(display(*path))


def counts(db: apsw.Connection) -> dict[JobState, int]:
    """How many jobs are in each state."""
    found = {JobState(state): jobs for state, jobs in db.execute("SELECT state, jobs FROM tally")}
    return {state: found.get(state, 0) for state in JobState}


def processing(db: apsw.Connection) -> list[Job]:
    """The jobs that are being worked on, the longest first."""
    rows = db.execute(
        f"SELECT {JOB_COLUMNS} FROM job WHERE finished_at IS NULL AND state = 'processing'"
        " ORDER BY started_at, id"
    )
    return [job(row) for row in rows]


def models_needed(db: apsw.Connection) -> list[tuple[str, int]]:
    """Each model that jobs which have not ended are to be done with, and the first of them."""
    return [
        (str(model), int(id_))
        for key in ("model", "fallback_model")
        for model, id_ in db.execute(
            "SELECT settings ->> ?, min(id) FROM job WHERE finished_at IS NULL GROUP BY 1",
            (f"$.{key}",),
        )
        if model
    ]


def starts(db: apsw.Connection, jobs: Iterable[Job]) -> dict[int, float]:
    """Where in its recording the latest run of each job began: seconds, by job id."""
    query = "SELECT start_position FROM execution WHERE job = ? AND lease = ?"
    return {job.id: db.execute(query, (job.id, job.lease)).get or 0.0 for job in jobs}


def executions(db: apsw.Connection, id_: int) -> list[Execution]:
    """The runs of a job, oldest first; JobNotFound when there is no such job."""
    get(db, id_)
    fields = Execution.__struct_fields__
    rows = db.execute(
        f"SELECT {', '.join(fields)} FROM execution WHERE job = ? ORDER BY lease", (id_,)
    )
    return [Execution(**dict(zip(fields, row, strict=True))) for row in rows]


def events(db: apsw.Connection, after: int, limit: int, job: int | None = None) -> list[Event]:
    """Events with ids greater than `after`, oldest first; only those of one job, if given."""
    where, values = ("id > ?", (after,)) if job is None else ("job = ? AND id > ?", (job, after))
    rows = db.execute(
        f"SELECT id, at, job, type, data FROM event WHERE {where} ORDER BY id LIMIT ?",
        (*values, limit),
    )
    return [
        Event(id=id_, at=at, job=about, type=type_, data=_data(data))
        for id_, at, about, type_, data in rows
    ]


def jobs_ever(db: apsw.Connection) -> int:
    """How many jobs there ever were."""
    ever: int = db.execute(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'job'), 0)"
    ).get
    return ever


class Stream(NamedTuple):
    """How far the stream of events goes, and since when."""

    generation: str  # of the database: in another, the same ids are of other events
    pruned: int  # the newest event that was forgotten for its age
    newest: int  # the newest that ever was


def stream(db: apsw.Connection) -> Stream:
    """What there is, and was, of events."""
    found: tuple[str, int, int] = db.execute(
        "SELECT generation, pruned,"
        " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) FROM stream"
    ).get
    return Stream(*found)


def believed(db: apsw.Connection) -> float | None:
    """The latest time that was believed, or else that of the latest event, if there is any."""
    found: float | None = db.execute(
        "SELECT coalesce((SELECT believed FROM stream),"
        " (SELECT at FROM event ORDER BY id DESC LIMIT 1))"
    ).get
    return found


class Blocks:
    """What is done of an unfinished recording, in order; each block is read when it is asked for.

    It can be gone through again and again, as long as the job is held.
    """

    def __init__(self, db: apsw.Connection, job: int) -> None:
        self._db, self._job = db, job

    def __iter__(self) -> Iterator[BlockResult]:
        # Each row by a query of its own: one that stayed open would keep the log from being reset.
        query = "SELECT block FROM checkpoint WHERE job = ? AND number >= ? ORDER BY number LIMIT 1"
        number = 0
        while True:
            with translated(db=self._db):
                row = self._db.execute(query, (self._job, number)).get
            if row is None:
                return
            block = _block(row)
            number = block.number + 1
            yield block


def outputs(db: apsw.Connection, id_: int) -> list[Output]:
    """The files that a job has published, by name; those that were edited since, too."""
    rows = db.execute(
        f"SELECT {OUTPUT_COLUMNS} FROM output WHERE job = :id AND published = :id ORDER BY name",
        {"id": id_},
    )
    return [output(row) for row in rows]


def outputs_of_recording(
    db: apsw.Connection, inbox: str, path: bytes, sha256: str | None = None
) -> list[Output]:
    """The files that all jobs about a recording have published or begun to, by name.

    Args:
        db: the database.
        inbox: where the recording lies.
        path: relative to it.
        sha256: of the recording: other ones that had its name before, and have left, keep theirs.
    """
    rows = db.execute(
        f"""
        SELECT {OUTPUT_COLUMNS} FROM output WHERE job IN (
            SELECT id FROM job WHERE inbox = :inbox AND path = :path
                AND (sha256 IS :sha256 OR NOT {LEFT})
            UNION ALL SELECT job FROM tombstone WHERE inbox = :inbox AND path = :path)
        ORDER BY name
        """,
        {"inbox": inbox, "path": path, "sha256": sha256},
    )
    return [output(row) for row in rows]
