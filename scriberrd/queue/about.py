"""All that the queue knows of a file, and of an inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from scriberrd.model import JobState
from scriberrd.queue import columns, queries

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from scriberrd.model import Identity, Job


class About(NamedTuple):
    """What is known of a file."""

    job: Job | None  # the newest about it
    copy_of: int | None  # an earlier job about the same bytes, by another name
    removed: Identity | None  # the version whose job was, and stays so as long as nobody asks
    passed: tuple[Identity, Literal["existing", "outputs"]] | None  # the version, and why
    published_by: int | None  # the job that has written it


def about(db: apsw.Connection, inbox: str, path: bytes) -> About:
    """All about the file at this path, relative to its inbox."""
    file = (inbox, path)
    job = queries.first(db, "inbox = ? AND path = ?", file)
    removed = db.execute("SELECT identity FROM tombstone WHERE (inbox, path) = (?, ?)", file).get
    passed = db.execute("SELECT identity, why FROM passed WHERE (inbox, path) = (?, ?)", file).get
    copied = None
    if job is not None:
        copied = db.execute(
            "SELECT min(id) FROM job WHERE sha256 = ? AND id < ? AND (inbox, path) <> (?, ?)",
            (job.sha256, job.id, *file),
        ).get
    return About(
        job=job,
        copy_of=copied,
        removed=None if removed is None else columns.identity(removed),
        passed=None if passed is None else (columns.identity(passed[0]), passed[1]),
        published_by=db.execute(
            "SELECT job FROM output WHERE (inbox, name) = (?, ?) AND published <> 0", file
        ).get,
    )


class Oldest(NamedTuple):
    """The recording of the oldest job that is queued."""

    path: bytes
    queued_at: float


class Content(NamedTuple):
    """What jobs there are about the files of an inbox, and how many have none."""

    jobs: dict[JobState, int]
    passed: dict[Literal["existing", "outputs"], int]  # files that were passed over, by why
    oldest: Oldest | None


def contents(db: apsw.Connection, inboxes: Iterable[str]) -> dict[str, Content]:
    """Of each of these inboxes, by name."""
    found: dict[str, dict[JobState, int]] = {inbox: dict.fromkeys(JobState, 0) for inbox in inboxes}
    # Each by the index that knows its state.
    for inbox, state, jobs in db.execute(
        "SELECT inbox, state, count(*) FROM job WHERE state <> 'processing' GROUP BY inbox, state"
    ):
        if inbox in found:
            found[inbox][JobState(state)] = jobs
    for job in queries.processing(db):
        if job.inbox in found:
            found[job.inbox][JobState.PROCESSING] += 1
    return {
        inbox: Content(jobs, _passed(db, inbox), _oldest(db, inbox))
        for inbox, jobs in found.items()
    }


def failed_since(db: apsw.Connection, moment: float) -> int:
    """How many jobs have failed since a time."""
    number: int = db.execute(
        "SELECT count(*) FROM job WHERE state = 'failed' AND finished_at >= ?", (moment,)
    ).get
    return number


def _passed(db: apsw.Connection, inbox: str) -> dict[Literal["existing", "outputs"], int]:
    return dict(
        db.execute("SELECT why, count(*) FROM passed WHERE inbox = ? GROUP BY why", (inbox,))
    )


def _oldest(db: apsw.Connection, inbox: str) -> Oldest | None:
    row = db.execute(
        "SELECT path, queued_at FROM job WHERE inbox = ? AND state = 'queued'"
        " AND state <> 'processing' ORDER BY id LIMIT 1",
        (inbox,),
    ).get
    return None if row is None else Oldest(*row)
