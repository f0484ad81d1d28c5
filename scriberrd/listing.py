"""Every look at the jobs that people and rooms ask for; nothing here changes anything."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from scriberrd.errors import JobNotFound
from scriberrd.fallback import Fallback
from scriberrd.model import (
    Event,
    Execution,
    Identity,
    Job,
    JobState,
    Settings,
    Stage,
    display,
)
from scriberrd.transcript import Block

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import apsw

Row = tuple[Any, ...]

# Names are reserved before their files are in place: they count once the job has published there.
# While it is done anew that is still so.
_OUTPUTS = """
    CASE WHEN job.state = 'completed' OR job.redo THEN (
        SELECT json_group_array(hex(output.name) ORDER BY output.name)
        FROM output WHERE output.job = job.id AND output.published = job.id
    ) ELSE '[]' END
"""
_FIELDS = tuple(field for field in Job.__struct_fields__ if field != "outputs")

JOB_COLUMNS = ", ".join([*(f"job.{field}" for field in _FIELDS), _OUTPUTS])
"""What `job` decodes; for SELECT ... FROM job, and for RETURNING."""

identity = msgspec.json.Decoder(Identity).decode
_settings = msgspec.json.Decoder(Settings).decode
_fallbacks = msgspec.json.Decoder(tuple[Fallback, ...]).decode
_names = msgspec.json.Decoder(list[str]).decode
_block = msgspec.json.Decoder(Block).decode
_data = msgspec.json.Decoder(dict[str, str | int | float | None]).decode


class Output(NamedTuple):
    """A published file."""

    path: bytes  # absolute
    name: bytes  # relative to the output folder


def job(row: Row) -> Job:
    """The job that a row of `JOB_COLUMNS` holds."""
    values = dict(zip(_FIELDS, row[:-1], strict=True))
    values["state"] = JobState(values["state"])
    values["stage"] = values["stage"] and Stage(values["stage"])
    values["identity"] = identity(values["identity"])
    values["settings"] = _settings(values["settings"])
    values["fallbacks"] = _fallbacks(values["fallbacks"])
    values["cancel_requested"] = bool(values["cancel_requested"])
    values["redo"] = bool(values["redo"])
    return Job(**values, outputs=tuple(bytes.fromhex(name) for name in _names(row[-1])))


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
    text: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Job]:
    """Jobs, newest first.

    Args:
        db: the database.
        states: only jobs in one of these; empty: in any.
        inbox: only jobs of this inbox.
        text: only jobs whose path contains this, in upper or lower case.
        before: only jobs with smaller ids: where the page before this one ended.
        limit: how many at most.
    """
    clauses = {
        "id < :before": before is not None,
        "state IN (SELECT value FROM json_each(:states))": bool(states),
        # The plus keeps the query on the ids, which are in the right order already.
        "+inbox = :inbox": inbox is not None,
        "instr(folded(path), :text)": text is not None,
    }
    where = " AND ".join([clause for clause, given in clauses.items() if given] or ["TRUE"])
    values = {
        "before": before,
        "states": msgspec.json.encode(list(states)).decode(),
        "inbox": inbox,
        "text": _folded(text or ""),
        "limit": limit,
    }
    db.create_scalar_function("folded", _folded_path, 1, deterministic=True)
    rows = db.execute(
        f"SELECT {JOB_COLUMNS} FROM job WHERE {where} ORDER BY id DESC LIMIT :limit", values
    )
    return [job(row) for row in rows]


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


def newest_event(db: apsw.Connection) -> int:
    """The id of the latest event; 0 when there is none."""
    newest: int = db.execute("SELECT coalesce(max(id), 0) FROM event").get
    return newest


def blocks(db: apsw.Connection, id_: int) -> list[Block]:
    """What is done of an unfinished recording, in order."""
    rows = db.execute("SELECT block FROM checkpoint WHERE job = ? ORDER BY number", (id_,))
    return [_block(block) for (block,) in rows]


def outputs(db: apsw.Connection, id_: int) -> list[Output]:
    """The files that a job has published, by name."""
    rows = db.execute(
        "SELECT path, name FROM output WHERE job = :id AND published = :id ORDER BY name",
        {"id": id_},
    )
    return [Output(*row) for row in rows]
