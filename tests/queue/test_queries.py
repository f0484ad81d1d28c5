from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from support import block, submitted

from scriberrd.config import Retry
from scriberrd.errors import JobNotFound
from scriberrd.model import Identity, Job, JobState, Source, Stage
from scriberrd.queue import jobs, queries, store
from scriberrd.queue.jobs import Lease
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    with contextlib.closing(store.connect(tmp_path / "queue.db")) as connection:
        yield connection


def submit(db: apsw.Connection, path: str, inbox: str = "a") -> Job:
    source = Source(inbox, path.encode(), Identity(1, 2, 3, 4, 5), path)
    return jobs.submit(db, source, profile="default", settings=Settings(), now=1.0)[0]


def claim(db: apsw.Connection, worker: str = "cpu", now: float = 2.0) -> Job:
    job = jobs.claim(db, worker, now=now, expires=9.0, longest=3600.0)
    assert job is not None
    return job


def ids(found: list[Job]) -> list[int]:
    return [job.id for job in found]


def test_a_job_is_what_was_submitted(db: apsw.Connection) -> None:
    job = submit(db, "talks/one.mp3")
    assert job == submitted(inbox="a", path=b"talks/one.mp3", sha256="talks/one.mp3")
    assert job == queries.get(db, 1)


def test_there_is_no_such_job(db: apsw.Connection) -> None:
    with pytest.raises(JobNotFound, match="there is no job 7"):
        queries.get(db, 7)
    with pytest.raises(JobNotFound):
        queries.executions(db, 7)


def test_newest_first_page_by_page(db: apsw.Connection) -> None:
    for number in range(5):
        submit(db, f"{number}.mp3")
    assert ids(queries.find(db, limit=3)) == [5, 4, 3]
    assert ids(queries.find(db, limit=3, before=3)) == [2, 1]


def test_found_by_state_and_inbox(db: apsw.Connection) -> None:
    for number in range(4):
        submit(db, f"{number}.mp3", inbox="ab"[number % 2])
    jobs.cancel(db, 1, 2.0)
    jobs.cancel(db, 2, 2.0)
    claim(db)
    assert ids(queries.find(db, states=[JobState.CANCELED], limit=9)) == [2, 1]
    either = [JobState.PROCESSING, JobState.QUEUED]
    assert ids(queries.find(db, states=either, limit=9)) == [4, 3]
    assert ids(queries.find(db, inbox="b", limit=9)) == [4, 2]
    assert ids(queries.find(db, inbox="b", states=[JobState.CANCELED], limit=9)) == [2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("GLÜCK", [3, 2]),  # also when the umlaut is two characters
        ("strasse", [1]),
        ("%", [4]),
        ("*", []),
        ("talks/", [1]),
        ("xff", [5]),  # a byte that is not UTF-8 is found as it is shown
        ("", [5, 4, 3, 2, 1]),
    ],
)
def test_found_by_a_part_of_the_path(
    db: apsw.Connection, text: str, found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "WINDOW", 2)
    for path in ("Talks/Hauptstraße.mp3", "Glück.mp3", "Glu\u0308ck.mp3", "100%.mp3", "x"):
        submit(db, path)
    db.execute("UPDATE job SET path = ? WHERE id = 5", (b"caf\xff.mp3",))
    steps, before = [], None
    while True:
        some, before = queries.matching(db, text, before=before, limit=9)
        steps.append(ids(some))
        if before is None:
            break
    assert [id_ for step in steps for id_ in step] == found
    assert len(steps) == 3


def test_counts_name_every_state(db: apsw.Connection) -> None:
    submit(db, "a.mp3")
    submit(db, "b.mp3")
    jobs.cancel(db, 1, 2.0)
    counted = dict.fromkeys(JobState, 0) | {JobState.QUEUED: 1, JobState.CANCELED: 1}
    assert queries.counts(db) == counted


def test_runs_know_where_they_began(db: apsw.Connection) -> None:
    submit(db, "a.mp3")
    first = claim(db)
    assert first.stage is Stage.PREPARING
    lease = Lease(first.id, first.lease)
    jobs.checkpoint(db, lease, block(0), expires=9.0, now=3.0)
    jobs.checkpoint(db, lease, block(1), expires=9.0, now=3.0)
    assert list(queries.Blocks(db, 1)) == [block(0), block(1)]
    jobs.fail(db, lease, "worker_crashed", "signal 9", retry=Retry(), now=4.0)
    assert claim(db, "gpu", now=10_000.0) == queries.get(db, 1)
    assert ids(queries.processing(db)) == [1]
    assert queries.starts(db, queries.processing(db)) == {1: 20.0}
    runs = queries.executions(db, 1)
    assert [(run.worker, run.outcome, run.audio_seconds) for run in runs] == [
        ("cpu", "failed", 20.0),
        ("gpu", None, 0.0),
    ]


def test_events_go_on_from_any_of_them(db: apsw.Connection) -> None:
    assert queries.believed(db) is None
    submit(db, "a.mp3")
    submit(db, "b.mp3")
    jobs.cancel(db, 1, 2.0)
    assert queries.believed(db) == 2.0
    told = [(event.id, event.job, event.type) for event in queries.events(db, 0, 10)]
    assert told == [(1, 1, "submitted"), (2, 2, "submitted"), (3, 1, "canceled")]
    assert [event.id for event in queries.events(db, 1, 1)] == [2]
    assert [event.id for event in queries.events(db, 0, 10, job=1)] == [1, 3]


def test_outputs_count_when_they_are_in_place(db: apsw.Connection) -> None:
    submit(db, "a.mp3")
    job = claim(db)
    lease = Lease(job.id, job.lease)
    names = [b"a.txt", b"\xff.json"]
    jobs.reserve(db, lease, names)
    assert queries.get(db, 1).outputs == ()
    jobs.published(db, lease, now=3.0)
    done = jobs.finish(db, lease, language=None, now=3.0)
    assert done.outputs == (b"a.txt", b"\xff.json")
    assert [output.name for output in queries.outputs(db, 1)] == names
