"""However many jobs there are, and were: who asks for a few of them waits for those few."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support import steps

from scriberrd.model import Job, JobState
from scriberrd.queue import jobs, queries, store
from scriberrd.queue.figures import Figures
from scriberrd.queue.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import apsw

HOUR = 3600.0
OLDEST = 5  # jobs that are unlike the others
FEW = ("inbox = 'rare'", "state = 'canceled'", "state = 'failed'", "put_off = 1, not_before = 9e9")
LOOKS: dict[str, Callable[[apsw.Connection], Any]] = {
    "a page": partial(queries.find, before=50, limit=5),
    **{
        f"of {state}": partial(queries.find, states=[state], before=50, limit=5)
        for state in JobState
    },
    "of any state": partial(queries.find, states=list(JobState), limit=5),
    "of an inbox": partial(queries.find, inbox="rare", limit=5),
    "of no inbox": partial(queries.find, inbox="none", limit=5),
    "of an inbox and a state": partial(
        queries.find, inbox="rare", states=[JobState.FAILED], limit=5
    ),
    "a step of a search": partial(queries.matching, text="nowhere", limit=5),
    "what was put off": jobs.readmit,
    "no old jobs": partial(jobs.ended_before, before=0.5, after=(0.0, 0), limit=5),
    "old jobs": partial(jobs.ended_before, before=2.0, after=(0.0, 0), limit=5),
    "old events": partial(jobs.event_times, after=0, limit=5),
    "events of a job": partial(queries.events, after=0, limit=5, job=3),
    "the latest event": queries.believed,
    "the stream of events": queries.stream,
    "counts": queries.counts,
    "what was done lately": lambda db: Figures(2.0, "day").step(db),
}


def fill(db: apsw.Connection, rows: int) -> None:
    """As many queued, as many waiting for a retry, and as many completed."""
    with transaction(db):
        db.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows),
                           kind(state, not_before, finished_at) AS
                           (VALUES ('queued', 0, NULL), ('queued', 20100, NULL),
                                   ('completed', 0, 1))
            INSERT INTO job (state, inbox, path, identity, sha256, profile, settings, priority,
                             not_before, finished_at, created_at, queued_at)
            SELECT state, char(97 + i % 3), CAST(state || not_before || i AS BLOB), '[1,2,3,4,5]',
                   i, 'default', '{}', i / 3 % 4, not_before, finished_at + i / 1e6,
                   i, i
            FROM n, kind
            """,
            {"rows": rows},
        )


def claim(db: apsw.Connection, like: Job | None = None) -> Job | None:
    with transaction(db):
        return jobs.claim(db, "cpu", now=2e4, expires=1e9, longest=HOUR, ageing=HOUR, like=like)


def test_claims_and_looks_take_as_many_steps_whatever_the_number_of_jobs(tmp_path: Path) -> None:
    taken = []
    for rows in (60, 6000):
        db = store.connect(tmp_path / f"{rows}.db")
        fill(db, rows)
        times = {"now": 2e4, "longest": HOUR}
        taken.append(
            (
                steps(db, lambda: claim(db)),  # noqa: B023 - called at once
                steps(db, lambda: jobs.next_due(db, 2e4)),  # noqa: B023
                steps(db, lambda: jobs.urgent_due(db, limit=4, **times)),  # noqa: B023
                steps(db, lambda: jobs.cancel_requested(db)),  # noqa: B023
                steps(db, lambda: queries.processing(db)),  # noqa: B023
                steps(db, lambda: jobs.newest(db, "a", b"completed00")),  # noqa: B023
                steps(db, lambda: jobs.ended_before(db, 2.0, (0.0, 0), 4)),  # noqa: B023
            )
        )
        db.close()
    few, many = taken
    assert many == pytest.approx(few, rel=0.05)


def test_a_look_for_a_model_at_hand_takes_as_many_steps_whatever_the_number_of_jobs(
    tmp_path: Path,
) -> None:
    taken = []
    for rows in (600, 6000):
        db = store.connect(tmp_path / f"{rows}.db")
        fill(db, rows)
        like = claim(db)
        taken.append(steps(db, lambda: claim(db, like)))  # noqa: B023 - called at once
        db.close()
    few, many = taken
    assert many == pytest.approx(few, rel=0.05)


def test_lists_take_as_many_steps_whatever_the_number_of_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "WINDOW", 20)
    taken = []
    for rows in (60, 6000):
        db = store.connect(tmp_path / f"{rows}.db")
        fill(db, rows)
        with transaction(db):
            for number, change in enumerate(FEW):
                first = number * OLDEST
                ended = ", finished_at = 2" if "state" in change else ""
                db.execute(
                    f"UPDATE job SET {change}{ended} WHERE id > ? AND id <= ?",
                    (first, first + OLDEST),
                )
            db.execute("INSERT INTO turn (inbox) VALUES ('rare')")
            db.execute("INSERT INTO event (at, job, type, data) SELECT 1, id, 'x', '{}' FROM job")
        taken.append({name: steps(db, partial(look, db)) for name, look in LOOKS.items()})
        db.close()
    few, many = taken
    assert many == pytest.approx(few, rel=0.05)
