"""What becomes of a file that turns up: news, or known."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import apsw
import pytest

from scriberrd import config
from scriberrd.errors import IllegalMove, JobNotFound
from scriberrd.model import Identity, Job, JobState, Source
from scriberrd.queue import jobs, queries, store
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

V1 = Identity(1, 10, 100, 1000, 1000)
CHMODDED = Identity(1, 10, 100, 1000, 2000)
MOUNTED = Identity(2, 10, 100, 1000, 1000)
TOUCHED = Identity(1, 10, 100, 2000, 2000)
V2 = Identity(1, 11, 200, 3000, 3000)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = store.connect(tmp_path / "queue.db")
    yield connection
    connection.close()


def submit(
    db: apsw.Connection, identity: Identity, sha256: str | None, path: bytes = b"talk.mp3"
) -> tuple[Job, bool]:
    source = Source("inbox", path, identity, sha256)
    with transaction(db):
        return jobs.submit(db, source, profile="default", settings=Settings(), now=1.0)


def test_one_that_can_not_be_queued_leaves_the_others_alone(db: apsw.Connection) -> None:
    order = jobs.Order("default", Settings(), {})
    broken = order._replace(settings=cast("Settings", None))
    sources = [Source("inbox", b"%d.mp3" % n, V1, "ab") for n in range(3)]
    with transaction(db):
        first, second, third = jobs.submit_all(
            db, zip(sources, (order, broken, order), strict=True), 1.0
        )
    assert isinstance(second, AttributeError)
    assert not isinstance(first, Exception)
    assert not isinstance(third, Exception)
    assert {job.path for job in queries.find(db, limit=9)} == {b"0.mp3", b"2.mp3"}
    assert {first[0].path, third[0].path} == {b"0.mp3", b"2.mp3"}
    with pytest.raises(apsw.ConstraintError), transaction(db):
        jobs.submit_all(db, [(sources[1], order), (sources[2]._replace(inbox=None), order)], 1.0)  # type: ignore[arg-type]
    assert len(queries.find(db, limit=9)) == 2


def news(db: apsw.Connection, *found: tuple[bytes, Identity]) -> list[bytes]:
    """Those that nobody knows; of the others the numbers are noted, as the intake does."""
    unknown, renumbered, *_ = jobs.unknown(db, "inbox", found)
    with db:
        jobs.renumber(db, "inbox", renumbered)
    return unknown


def claim(db: apsw.Connection) -> jobs.Lease:
    with transaction(db):
        job = jobs.claim(db, "worker", now=2.0, expires=100.0, longest=3600)
    assert job is not None
    return jobs.Lease(job.id, job.lease)


def fail(db: apsw.Connection, code: str) -> Job:
    lease = claim(db)
    with transaction(db):
        return jobs.fail(db, lease, code, "", retry=config.Retry(), now=3.0)


def test_the_same_version_is_known(db: apsw.Connection) -> None:
    job, new = submit(db, V1, "one")
    assert (job.id, job.state, new) == (1, JobState.QUEUED, True)
    assert submit(db, V1, "one") == (job, False)
    assert news(db, (b"talk.mp3", V1), (b"other.mp3", V1)) == [b"other.mp3"]


def test_the_database_itself_refuses_a_second_live_job_of_a_recording(db: apsw.Connection) -> None:
    def insert(state: str, finished_at: float | None) -> None:
        db.execute(
            "INSERT INTO job (state, inbox, path, identity, profile, settings, priority,"
            " created_at, queued_at, finished_at)"
            " VALUES (?, 'inbox', CAST('talk.mp3' AS BLOB), '', '', '', 2, 1, 1, ?)",
            (state, finished_at),
        )

    for _ in range(2):
        insert("completed", 9.0)
    insert("queued", None)
    with pytest.raises(apsw.ConstraintError, match="UNIQUE"):
        insert("queued", None)
    for state, finished_at in (("queued", 9.0), ("failed", None)):
        with pytest.raises(apsw.ConstraintError, match="CHECK"):
            insert(state, finished_at)


def test_a_touched_file_is_no_news_when_its_bytes_are_the_same(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    assert news(db, (b"talk.mp3", TOUCHED)) == [b"talk.mp3"]
    job, new = submit(db, TOUCHED, "one")
    assert (job.id, job.identity, new) == (1, TOUCHED, False)
    assert news(db, (b"talk.mp3", TOUCHED)) == []


@pytest.mark.parametrize("end", [None, "finished", "invalid_media", "removed"])
@pytest.mark.parametrize("now", [MOUNTED, CHMODDED, MOUNTED._replace(ctime_ns=2000)])
def test_a_file_under_other_numbers_is_not_read_again(
    db: apsw.Connection, now: Identity, end: str | None
) -> None:
    """A mount gives another device number, and permissions another time of change."""
    submit(db, V1, "one")
    if end == "invalid_media":
        fail(db, end)
    elif end is not None:
        lease = claim(db)
        with db:
            jobs.published(db, lease, now=3.0)
            jobs.finish(db, lease, language=None, now=3.0)
    if end == "removed":
        with db:
            jobs.remove(db, 1, 4.0)
    assert news(db, (b"talk.mp3", now)) == []
    assert not any(jobs.unknown(db, "inbox", [(b"talk.mp3", now)]))  # the numbers are noted
    if end != "removed":
        assert queries.get(db, 1).identity == now
    for other in (now._replace(inode=11), now._replace(size=101), now._replace(mtime_ns=1001)):
        assert news(db, (b"talk.mp3", other)) == [b"talk.mp3"]


def test_a_replaced_file_takes_over_its_queued_job(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    job, new = submit(db, V2, "two")
    assert (job.id, job.sha256, job.state, new) == (1, "two", JobState.QUEUED, True)


def test_a_file_replaced_after_its_job_has_completed_gets_another_job(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    lease = claim(db)
    with transaction(db):
        jobs.published(db, lease, now=3.0)
        jobs.finish(db, lease, language=None, now=3.0)
    job, new = submit(db, V2, "two")
    assert (job.id, new) == (2, True)
    assert queries.get(db, 1).state is JobState.COMPLETED


def test_an_unreadable_file_is_tried_again_once_its_permissions_change(
    db: apsw.Connection,
) -> None:
    submit(db, V1, None)
    assert fail(db, "unreadable").state is JobState.FAILED
    assert submit(db, V1, None)[1] is False
    assert news(db, (b"talk.mp3", MOUNTED)) == []
    assert news(db, (b"talk.mp3", CHMODDED)) == [b"talk.mp3"]
    job, new = submit(db, CHMODDED, "one")
    assert (job.id, job.state, job.sha256, new) == (1, JobState.QUEUED, "one", True)


def test_what_became_readable_is_recognized_and_its_work_is_kept(db: apsw.Connection) -> None:
    submit(db, V1, None)
    fail(db, "unreadable")
    with transaction(db):
        jobs.retry(db, 1, 4.0)
    lease = claim(db)
    job, new = submit(db, CHMODDED, "one")  # while it is processed
    assert (job.state, job.sha256, new) == (JobState.PROCESSING, "one", False)
    with transaction(db):
        jobs.published(db, lease, now=5.0)
        jobs.finish(db, lease, language=None, now=5.0)
    job, new = submit(db, V1, "one")
    assert (job.id, job.state, new) == (1, JobState.COMPLETED, False)


def test_a_finished_recording_of_unknown_bytes_is_not_done_again(db: apsw.Connection) -> None:
    submit(db, V1, None)
    lease = claim(db)
    with transaction(db):
        jobs.published(db, lease, now=3.0)
        jobs.finish(db, lease, language=None, now=3.0)
    job, new = submit(db, CHMODDED, "one")
    assert (job.id, job.state, job.sha256, new) == (1, JobState.COMPLETED, "one", False)
    assert submit(db, V2, "two")[0].id == 2


@pytest.mark.parametrize("state", [JobState.PROCESSING, JobState.COMPLETED])
def test_a_recording_that_can_no_longer_be_read_is_no_news(
    db: apsw.Connection, state: JobState
) -> None:
    submit(db, V1, "one")
    lease = claim(db)
    if state is JobState.COMPLETED:
        with transaction(db):
            jobs.published(db, lease, now=3.0)
            jobs.finish(db, lease, language=None, now=3.0)
    job, new = submit(db, CHMODDED, None)
    assert (job.id, job.state, job.sha256, new) == (1, state, "one", False)


def test_a_failed_recording_is_tried_again_when_it_is_touched(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    assert fail(db, "invalid_media").state is JobState.FAILED
    assert submit(db, V1, "one")[1] is False
    job, new = submit(db, TOUCHED, "one")
    assert (job.state, job.failures, new) == (JobState.QUEUED, 0, True)


def test_a_recording_that_was_missing_is_tried_again_as_soon_as_it_is_there(
    db: apsw.Connection,
) -> None:
    """One on a file system that was mounted again is the same to the last nanosecond."""
    submit(db, V1, "one")
    assert news(db, (b"talk.mp3", V1)) == []
    fail(db, "source_missing")
    assert news(db, (b"talk.mp3", V1)) == [b"talk.mp3"]
    job, new = submit(db, V1, "one")
    assert (job.state, job.error_code, new) == (JobState.QUEUED, None, True)
    assert news(db, (b"talk.mp3", V1)) == []


@pytest.mark.parametrize("sha256", ["one", None])
def test_a_failed_recording_stays_so_when_its_file_system_is_mounted_again(
    db: apsw.Connection, sha256: str | None
) -> None:
    submit(db, V1, sha256)
    fail(db, "invalid_media")
    job, new = submit(db, V1._replace(dev=2), sha256)
    assert (job.id, job.state, job.identity.dev, new) == (1, JobState.FAILED, 2, False)
    assert submit(db, TOUCHED._replace(dev=2), sha256)[1]


def test_a_canceled_recording_stays_canceled_when_it_is_touched(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    with transaction(db):
        jobs.cancel(db, 1, 2.0)
    job, new = submit(db, TOUCHED, "one")
    assert (job.state, new) == (JobState.CANCELED, False)


def test_a_removed_job_stays_away_when_its_recording_is_replaced(db: apsw.Connection) -> None:
    names = [b"talk.json"]
    for id_, (identity, sha256) in enumerate([(V1, "one"), (V2, "two"), (V1, "one")], 1):
        assert submit(db, identity, sha256)[0].id == id_
        assert [job.id for job in queries.find(db, limit=10)] == [id_]
        lease = claim(db)
        with transaction(db):
            assert bool(jobs.reserve(db, lease, names)) == (
                id_ > 1
            )  # what was published is its own
            jobs.published(db, lease, now=3.0)
            jobs.finish(db, lease, language=None, now=3.0)
            jobs.remove(db, id_, 4.0)


def test_retry_is_refused_where_a_newer_job_has_the_recording(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    fail(db, "invalid_media")
    submit(db, V2, "two")
    with transaction(db), pytest.raises(IllegalMove, match="job 2 is newer and has its recording"):
        jobs.retry(db, 1, 4.0)
    assert queries.get(db, 1).state is JobState.FAILED


def test_retry_lets_a_waiting_job_go_at_once(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    waiting = fail(db, "worker_crashed")
    assert (waiting.state, waiting.failures) == (JobState.QUEUED, 1)
    assert waiting.not_before > 3.0
    with transaction(db):
        job = jobs.retry(db, 1, 4.0)
    assert (job.not_before, job.failures) == (0, 0)


def test_cancel_of_an_ended_or_missing_job_is_refused(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    fail(db, "invalid_media")
    with transaction(db), pytest.raises(IllegalMove, match="job 1 is failed: it can't be canceled"):
        jobs.cancel(db, 1, 4.0)
    with transaction(db), pytest.raises(JobNotFound):
        jobs.cancel(db, 7, 4.0)


def test_names_of_another_recording_are_not_reserved(db: apsw.Connection) -> None:
    submit(db, V1, "one", b"talk.mp3")
    submit(db, V2, "two", b"talk.wav")
    first, second = claim(db), claim(db)
    names = [b"talk.txt", b"talk.json"]
    with transaction(db):
        assert jobs.reserve(db, first, names) == {}
        again = jobs.reserve(db, first, names)
        assert again is not None
        assert not any(known.published for known in again.values())
        assert jobs.reserve(db, second, [b"talk.json"]) is None
        jobs.unreserve(db, first, [b"talk.txt"])
        assert jobs.reserve(db, second, [b"talk.txt"]) == {}
        jobs.published(db, first, now=3.0)
        jobs.finish(db, first, language=None, now=3.0)
    submit(db, TOUCHED, "three", b"talk.mp3")
    third = claim(db)
    with transaction(db):
        known = jobs.reserve(db, third, [b"talk.json"])
        assert known is not None
        assert known[b"talk.json"].published


def test_a_retry_put_off_before_the_clock_was_set_back_is_due(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    lease = claim(db)
    with transaction(db):
        jobs.fail(db, lease, "worker_crashed", "", retry=config.Retry(), now=1e9)
        assert jobs.claim(db, "worker", now=1e9, expires=1.0, longest=3600) is None
        assert jobs.claim(db, "worker", now=1e6, expires=1.0, longest=3600) is not None


def test_a_recording_that_kills_its_workers_is_set_aside_after_the_budget(
    db: apsw.Connection,
) -> None:
    submit(db, V1, "one")
    retry = config.Retry(attempts=3)
    seen = []
    for run in range(3):
        with transaction(db):
            job = jobs.claim(db, "worker", now=run * 1e5, expires=1.0, longest=3600)
            assert job is not None
            lease = jobs.Lease(job.id, job.lease)
            job = jobs.fail(db, lease, "worker_crashed", "signal 11", retry=retry, now=run * 1e5)
        seen.append((job.state, job.failures))
    assert seen == [(JobState.QUEUED, 1), (JobState.QUEUED, 2), (JobState.FAILED, 3)]
    assert [one.outcome for one in queries.executions(db, 1)] == ["failed"] * 3


def test_a_fault_of_the_machine_costs_the_recording_nothing(db: apsw.Connection) -> None:
    submit(db, V1, "one")
    for _ in range(10):
        with transaction(db):
            jobs.retry(db, 1, 3.0)
        job = fail(db, "disk_full")
        assert (job.state, job.failures) == (JobState.QUEUED, 0)
