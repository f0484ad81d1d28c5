"""What of the queue can't be claimed now, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import apsw


class Waiting(NamedTuple):
    """How many queued jobs wait for what; the others are ready."""

    paused: int  # until somebody resumes them
    retry: int  # for their next try: their last run failed
    machine: int  # for the machine, which is at fault
    next_try: float | None  # the earliest of these two


def waiting(db: apsw.Connection, now: float) -> Waiting:
    """What waits now."""
    if db.execute("SELECT 1 FROM pause WHERE kind = 'everything'").get:
        return Waiting(db.execute("SELECT jobs FROM tally WHERE state = 'queued'").get, 0, 0, None)
    paused = db.execute(
        "SELECT count(*) FROM pause CROSS JOIN job"
        " ON job.inbox = pause.name AND job.state = 'queued' AND job.state <> 'processing'"
        " WHERE pause.kind = 'inbox'"
    ).get
    # Those are in the index of the order, which begins with `finished_at`.
    later, machine, next_try = db.execute(
        "SELECT count(*), coalesce(sum(put_off), 0), min(not_before) FROM job"
        " WHERE finished_at IS NULL AND state = 'queued' AND not_before > ?"
        " AND inbox NOT IN (SELECT name FROM pause WHERE kind = 'inbox')",
        (now,),
    ).get
    return Waiting(paused, later - machine, machine, next_try)
