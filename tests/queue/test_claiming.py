"""Who is next: by priority, in turns, with age; and no slower with a million jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import steps

from scriberrd.config import Retry
from scriberrd.model import Fallback, Identity, Job, Source
from scriberrd.queue import jobs, queries, store
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings
from scriberrd.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

HOUR = 3600.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = store.connect(tmp_path / "queue.db")
    yield connection
    connection.close()


def submit(
    db: apsw.Connection,
    name: str,
    priority: Any = "normal",
    *,
    inbox: str = "a",
    now: float = 1.0,
    model: str = "base",
) -> Job:
    source = Source(inbox, name.encode(), Identity(1, 2, 3, 4, 5), name)
    settings = Settings(priority=priority, model=model)
    with transaction(db):
        return jobs.submit(db, source, profile="default", settings=settings, now=now)[0]


def claim(
    db: apsw.Connection,
    *,
    now: float = 10.0,
    ageing: float = 0.0,
    pool: str = "cpu",
    like: Job | None = None,
) -> str | None:
    """The name of the next job."""
    with transaction(db):
        job = jobs.claim(
            db, "c", now=now, expires=1e9, longest=HOUR, pool=pool, ageing=ageing, like=like
        )
    return None if job is None else job.name


def test_by_priority_then_first_in_first_out(db: apsw.Connection) -> None:
    for number, priority in enumerate(["low", "normal", "high", "urgent"] * 2):
        submit(db, f"{priority}{number}", priority)
    order = [claim(db) for _ in range(9)]
    assert order == [
        *("urgent3", "urgent7", "high2", "high6", "normal1", "normal5", "low0", "low4"),
        None,
    ]


@pytest.mark.parametrize("step", [None, Fallback("batch_size", "8", "4")])
def test_what_does_with_less_memory_waits_for_nothing(
    db: apsw.Connection, step: Fallback | None
) -> None:
    submit(db, "big")
    claim(db)
    retry = Retry(backoff=Seconds(30))
    with transaction(db):
        jobs.fail(db, jobs.Lease(1, 1), "out_of_memory", "", retry=retry, now=10.0, step=step)
    assert claim(db) == (None if step is None else "big")


def test_inboxes_take_turns(db: apsw.Connection) -> None:
    for number in range(4):
        submit(db, f"a{number}")
    submit(db, "b0", inbox="b", now=2.0)
    assert [claim(db) for _ in range(3)] == ["a0", "b0", "a1"]
    submit(db, "b1", inbox="b", now=3.0)
    submit(db, "c0", inbox="c", now=4.0)
    assert [claim(db) for _ in range(5)] == ["c0", "b1", "a2", "a3", None]


def test_priority_outranks_turns(db: apsw.Connection) -> None:
    for number in range(3):
        submit(db, f"a{number}", "high")
    submit(db, "b0", inbox="b")
    assert [claim(db) for _ in range(4)] == ["a0", "a1", "a2", "b0"]


def test_a_model_at_hand_goes_before_turns_and_age(db: apsw.Connection) -> None:
    like = submit(db, "a0", model="small")
    for number in (1, 3):
        submit(db, f"a{number}", now=number, model="base")
        submit(db, f"a{number + 1}", now=number + 1, model="small")
    submit(db, "b0", inbox="b", now=9.0, model="base")
    assert [claim(db, like=like) for _ in range(3)] == ["a0", "a2", "a4"]
    assert [claim(db, like=like) for _ in range(4)] == ["b0", "a1", "a3", None]


def test_priority_outranks_a_model_at_hand(db: apsw.Connection) -> None:
    like = submit(db, "normal", now=1.5 * HOUR, model="small")
    submit(db, "high", "high", now=1.5 * HOUR)
    submit(db, "old", "low", now=0.0)
    assert claim(db, now=1.5 * HOUR, like=like) == "high"
    assert claim(db, now=2 * HOUR, ageing=HOUR, like=like) == "old"  # which has climbed higher
    assert claim(db, like=like) == "normal"


def test_a_model_that_memory_did_not_bear_is_another_one(db: apsw.Connection) -> None:
    submit(db, "a0", now=1.0, model="small")
    second = submit(db, "a1", now=2.0, model="small")
    db.execute(
        "UPDATE job SET fallbacks = ? WHERE id = ?",
        ('[{"setting":"device","before":"cuda","after":"cpu"}]', second.id),
    )
    like = queries.get(db, second.id)
    assert claim(db, like=like) == "a1"


def test_a_waiting_job_climbs_up_to_high(db: apsw.Connection) -> None:
    submit(db, "old", "low", now=0.0)
    submit(db, "new", "normal", now=HOUR)
    submit(db, "important", "high", now=2 * HOUR)
    submit(db, "now", "urgent", now=9 * HOUR)
    assert claim(db, now=9 * HOUR, ageing=HOUR) == "now"
    # All of them have climbed to high.
    assert [claim(db, now=9 * HOUR, ageing=HOUR) for _ in range(3)] == ["old", "new", "important"]


@pytest.mark.parametrize(("ageing", "expected"), [(HOUR, "old"), (2 * HOUR, "new"), (0.0, "new")])
def test_it_climbs_one_step_each_time(db: apsw.Connection, ageing: float, expected: str) -> None:
    submit(db, "old", "low", now=0.0)
    submit(db, "new", "normal", now=HOUR - 1)
    assert claim(db, now=HOUR, ageing=ageing) == expected


def test_a_clock_set_back_lets_nothing_sink(db: apsw.Connection) -> None:
    submit(db, "low", "low", now=1e9)
    submit(db, "normal", now=1e9)
    assert [claim(db, now=1.0, ageing=HOUR) for _ in range(2)] == ["normal", "low"]


def test_a_job_queued_while_the_clock_was_ahead_waits_no_longer_than_others(
    db: apsw.Connection,
) -> None:
    submit(db, "before", now=1.0)
    submit(db, "ahead", now=1e9)
    assert claim(db, now=2.0) == "before"
    submit(db, "after", now=3.0)
    assert [claim(db, now=4.0), claim(db, now=4.0)] == ["ahead", "after"]


def test_a_job_queued_while_the_clock_was_ahead_climbs(db: apsw.Connection) -> None:
    submit(db, "ahead", "low", now=1e9)
    submit(db, "before", now=1.0)
    assert claim(db, now=2.0, ageing=HOUR) == "before"
    submit(db, "after", "normal", now=HOUR)
    assert claim(db, now=2.0 + HOUR, ageing=HOUR) == "ahead"


def test_a_released_job_keeps_its_place(db: apsw.Connection) -> None:
    for name in ("first", "second"):
        submit(db, name)
    with transaction(db):
        job = jobs.claim(db, "cpu", now=2.0, expires=1e9, longest=HOUR)
        assert job is not None
        jobs.release(db, jobs.Lease(job.id, job.lease), now=3.0, outcome="preempted")
    assert [claim(db), claim(db)] == ["first", "second"]


def put_off(db: apsw.Connection, now: float) -> Job | None:
    """A claim of which only what comes from inbox b is admitted."""
    with transaction(db):
        return jobs.claim(
            db,
            "cpu-1",
            admit=lambda job: 0.0 if job.inbox == "b" else 30.0,
            now=now,
            expires=1e9,
            longest=HOUR,
        )


def test_jobs_that_wait_for_the_machine_take_as_many_steps_however_many_they_are(
    tmp_path: Path,
) -> None:
    taken = []
    for rows in (20, 180):
        db = store.connect(tmp_path / f"{rows}.db")
        for number in range(rows):
            submit(db, f"{number}")
        assert put_off(db, 10.0) is None
        taken.append(steps(db, lambda: put_off(db, 50.0)) / rows)  # noqa: B023 - called at once
        db.close()
    few, many = taken
    assert many == pytest.approx(few, rel=0.1)


def test_many_that_wait_for_the_machine_let_others_write(db: apsw.Connection) -> None:
    for number in range(250):
        submit(db, f"{number}")
    submit(db, "last", inbox="b", now=2.0)
    db.execute("UPDATE turn SET claimed = 1 WHERE inbox = 'b'")
    assert put_off(db, 10.0) is None
    waiting = "SELECT count(*) FROM job WHERE not_before > 0"
    assert 0 < db.execute(waiting).get < 250
    found = put_off(db, 10.0)
    assert found is not None
    assert (found.name, db.execute(waiting).get) == ("last", 250)


def test_what_was_put_off_is_due_at_once_but_no_retry(db: apsw.Connection) -> None:
    submit(db, "b0", inbox="b", now=0.0)
    submit(db, "a0", now=1.0)
    submit(db, "a1", now=2.0)

    def crash(job: Job | None) -> None:
        assert job is not None
        lease = jobs.Lease(job.id, job.lease)
        with transaction(db):
            jobs.fail(db, lease, "worker_crashed", "", retry=Retry(), now=10.0)

    crash(put_off(db, 10.0))
    assert put_off(db, 10.0) is None
    jobs.readmit(db)
    with transaction(db):
        a0 = jobs.claim(db, "cpu", now=10.0, expires=1e9, longest=HOUR)
    assert a0 is not None
    assert a0.name == "a0"
    crash(a0)
    jobs.readmit(db)
    assert [claim(db, now=10.0), claim(db, now=10.0)] == ["a1", None]


def test_nothing_makes_way_for_an_urgent_job_that_waits_for_the_machine(
    db: apsw.Connection,
) -> None:
    def urgent_due(now: float) -> int:
        return jobs.urgent_due(db, now=now, longest=HOUR, limit=4)

    submit(db, "a0", "urgent")
    assert urgent_due(10.0) == 1
    assert put_off(db, 10.0) is None
    assert urgent_due(50.0) == 0
    jobs.readmit(db)
    assert urgent_due(50.0) == 1
