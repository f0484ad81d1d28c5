"""What is noted of recordings that are to leave their inboxes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from support import steps

from scriberrd.config import Retry
from scriberrd.errors import IllegalMove
from scriberrd.model import Identity, Leaving, Source
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import connect
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

    from scriberrd.model import Job

RETRY = Retry()
ARCHIVE = Leaving("archive", b"talk.mp3")
QUARANTINE = Leaving("quarantine", b"failed/talk.mp3")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    with contextlib.closing(connect(tmp_path / "queue.db")) as opened:
        yield opened


def submit(db: apsw.Connection, path: bytes = b"talk.mp3", inode: int = 2) -> Job:
    source = Source("inbox", path, Identity(1, inode, 3, 4, 5), "a" * 64)
    with db:
        job, _ = jobs.submit(db, source, profile="default", settings=Settings(), now=1.0)
    return job


def claim(db: apsw.Connection) -> jobs.Lease:
    with db:
        job = jobs.claim(db, "worker", now=9.0, expires=9.0, longest=9.0)
    assert job is not None
    return jobs.Lease(job.id, job.lease)


def finish(db: apsw.Connection, leaving: Leaving | None = ARCHIVE) -> Job:
    with db:
        return jobs.finish(db, claim(db), language="en", now=3.0, leaving=leaving)


def fail(db: apsw.Connection, code: str, leaving: Leaving | None = QUARANTINE) -> Job:
    with db:
        return jobs.fail(db, claim(db), code, "", retry=RETRY, now=3.0, leaving=leaving)


def rows(db: apsw.Connection, now: float = 4.0) -> list[Any]:
    found, _ = jobs.leaving(db, ["inbox"], now)
    return found


def test_it_is_noted_with_the_end_of_its_job(db: apsw.Connection) -> None:
    job = submit(db)
    assert finish(db).state == "completed"
    (row,) = rows(db)
    assert (row.job, row.path, row.action, row.target) == (1, b"talk.mp3", "archive", b"talk.mp3")
    assert row.identity == job.identity
    assert jobs.leaving_count(db, ["inbox"]) == 1
    assert jobs.leaving_count(db, ["other"]) == 0  # nobody carries it out
    assert jobs.are_leaving(db, "inbox", [row.token, "other"]) == {row.token}
    assert jobs.are_leaving(db, "other", [row.token]) == set()
    with db:
        jobs.disposed(db, row, "archived", 5.0, b"talk-2.mp3")
    assert queries.get(db, 1).disposed == "archived talk-2.mp3"
    assert rows(db) == []


@pytest.mark.parametrize(
    ("code", "leaves"),
    [
        ("invalid_media", True),
        ("unreadable", False),
        ("source_missing", False),
        ("too_large", False),
    ],
)
def test_only_what_is_wrong_itself_is_set_aside(
    db: apsw.Connection, code: str, leaves: bool
) -> None:
    submit(db)
    fail(db, code)
    assert bool(rows(db)) is leaves


def test_what_is_tried_again_is_not_set_aside(db: apsw.Connection) -> None:
    submit(db)
    fail(db, "engine_failed")
    assert rows(db) == []


def test_a_new_start_keeps_it_until_it_is_on_its_way(db: apsw.Connection) -> None:
    submit(db)
    fail(db, "invalid_media")
    with db:
        jobs.retry(db, 1, 4.0)
    assert rows(db, 9.0) == []
    finish(db)
    (row,) = rows(db)
    assert row.action == "archive"
    with db:
        assert jobs.hold(db, 1)
    for verb in (
        lambda: jobs.retry(db, 1, 5.0),
        lambda: jobs.redo(db, 1, profile="default", settings=Settings(), now=5.0),
    ):
        with pytest.raises(IllegalMove), db:
            verb()
    with db:  # its files can be written again meanwhile
        jobs.redo(db, 1, profile="default", settings=Settings(), now=5.0, stage="merge")
    assert rows(db, 9.0) == []  # not yet
    finish(db, None)
    assert [one.token for one in rows(db, 9.0)] == [row.token]


def test_what_hinders_recordings_is_told(db: apsw.Connection) -> None:
    submit(db)
    finish(db)
    assert (jobs.hindered(db), queries.get(db, 1).leaving) == ([], "")
    with db:
        jobs.put_off(db, 1, "the archive is full", 5.0, back=True)
    (one,) = jobs.hindered(db)
    assert (one.inbox, one.error, one.number) == ("inbox", "the archive is full", 1)
    assert (one.since, one.due) == (queries.get(db, 1).finished_at, 5.0)
    assert queries.get(db, 1).leaving == "the archive is full"


def test_what_is_called_off_is_not_begun(db: apsw.Connection) -> None:
    submit(db)
    finish(db)
    with db:
        jobs.redo(db, 1, profile="default", settings=Settings(), now=5.0)
        assert not jobs.hold(db, 1)


def test_what_was_to_be_set_aside_and_is_done_now_is_not(db: apsw.Connection) -> None:
    submit(db)
    fail(db, "invalid_media")
    with db:  # it has been mended
        source = Source("inbox", b"talk.mp3", Identity(1, 9, 3, 4, 5), "a" * 64)
        jobs.submit(db, source, profile="default", settings=Settings(), now=5.0)
    finish(db, None)
    assert rows(db, 9.0) == []


def test_what_has_left_and_lies_there_again_leaves_again(db: apsw.Connection) -> None:
    job = submit(db)
    finish(db)
    with db:
        jobs.disposed(db, rows(db)[0], "archived", 5.0, b"talk.mp3")
    news, *_ = jobs.unknown(db, "inbox", [(b"talk.mp3", job.identity)])
    assert news == [b"talk.mp3"]  # the very file was moved back
    back = submit(db)
    assert back.disposed == "archived talk.mp3"
    with db:
        jobs.come_back(db, back, ARCHIVE, 6.0)
    assert len(rows(db, 9.0)) == 1
    news, *_ = jobs.unknown(db, "inbox", [(b"talk.mp3", job.identity)])
    assert news == []


def test_what_has_left_leaves_again_though_its_job_is_forgotten(db: apsw.Connection) -> None:
    job = submit(db)
    finish(db)
    with db:
        jobs.remove(db, 1, 4.0)  # before it has left
        jobs.disposed(db, rows(db)[0], "archived", 5.0, b"talk.mp3")
    for _ in range(2):
        news, *_ = jobs.unknown(db, "inbox", [(b"talk.mp3", job.identity)])
        assert news == [b"talk.mp3"]
        back = submit(db)
        assert (back.state, back.disposed) == ("completed", "archived talk.mp3")
        assert queries.find(db, limit=9) == []
        with db:
            jobs.come_back(db, back, ARCHIVE, 6.0)
        news, *_ = jobs.unknown(db, "inbox", [(b"talk.mp3", job.identity)])
        assert news == []
        (row,) = rows(db, 9.0)
        with db:
            jobs.disposed(db, row, "archived", 7.0, b"talk.mp3")


def test_what_is_to_be_done_again_has_not_left_once_it_lies_there(db: apsw.Connection) -> None:
    job = submit(db)
    finish(db)
    with db:
        jobs.disposed(db, rows(db)[0], "archived", 5.0, b"talk.mp3")
        jobs.redo(db, 1, profile="default", settings=Settings(), now=6.0, stage="merge")
    assert submit(db).disposed is None
    with db:
        jobs.cancel(db, 1, 7.0)
    news, *_ = jobs.unknown(db, "inbox", [(b"talk.mp3", job.identity)])
    assert news == []  # it is not read again and again


def test_what_comes_back_as_it_is_done_again_leaves_again(db: apsw.Connection) -> None:
    submit(db)
    finish(db)
    with db:
        jobs.disposed(db, rows(db)[0], "archived", 5.0, b"talk.mp3")
        jobs.redo(db, 1, profile="default", settings=Settings(), now=6.0, stage="merge")
    lease = claim(db)
    submit(db)
    with db:
        jobs.finish(db, lease, language="en", now=7.0, leaving=ARCHIVE)
    assert len(rows(db, 9.0)) == 1


def test_it_leaves_once_though_it_is_done_again(db: apsw.Connection) -> None:
    submit(db)
    finish(db)
    with db:
        jobs.disposed(db, rows(db)[0], "archived", 5.0, b"talk.mp3")
        jobs.redo(db, 1, profile="default", settings=Settings(), now=6.0, stage="merge")
    finish(db)
    assert rows(db, 9.0) == []


def test_what_takes_the_daemon_down_is_set_aside(db: apsw.Connection) -> None:
    submit(db)
    claim(db)
    with db:
        (job,) = jobs.recover(db, 5.0, limit=1, leaving=lambda _: QUARANTINE)
    assert job.state == "failed"
    (row,) = rows(db, 9.0)
    assert row.action == "quarantine"


def test_what_failed_and_is_put_back_starts_again(db: apsw.Connection) -> None:
    submit(db)
    fail(db, "invalid_media")
    with db:
        jobs.disposed(db, rows(db)[0], "quarantined", 5.0, b"failed/talk.mp3")
    job = submit(db)
    assert (job.state, job.disposed) == ("queued", None)


def test_it_outlives_its_job(db: apsw.Connection) -> None:
    submit(db)
    finish(db)
    with db:
        jobs.remove(db, 1, 4.0)
    (row,) = rows(db)
    with db:
        jobs.kept(db, row, "changed", 5.0)
    last = db.execute("SELECT job, type, data FROM event ORDER BY id DESC LIMIT 1").get
    assert last == (None, "kept", '{"why":"changed","id":1,"inbox":"inbox","path":"talk.mp3"}')


def test_an_error_puts_it_off(db: apsw.Connection) -> None:
    submit(db)
    finish(db)
    with db:
        jobs.hold(db, 1)
        jobs.put_off(db, 1, "No space left on device", 9.0, back=True)
    assert jobs.leaving(db, ["inbox"], 4.0) == ([], 9.0)
    (row,) = rows(db, 9.0)
    assert (row.tries, row.begun, row.error) == (1, 0, "No space left on device")


def test_of_many_the_next_is_found_at_once(db: apsw.Connection) -> None:
    submit(db)
    finish(db)
    few = steps(db, lambda: jobs.leaving(db, ["inbox"], 4.0))
    with db:
        db.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
            INSERT INTO disposal (job, inbox, path, identity, sha256, action, token, due)
            SELECT i, 'inbox', x'78', '[1,2,3,4,5]', 'a', 'delete', 'b', i FROM n
            """
        )
    assert steps(db, lambda: jobs.leaving(db, ["inbox"], 4.0)) < 2 * few


def test_uploads_leave_by_age_and_their_jobs_wait_for_that(db: apsw.Connection) -> None:
    submit(db)
    submit(db, b"own.mp3", inode=7)
    for _ in range(2):
        finish(db, None)
    with db:
        jobs.mark_uploaded(db, 1, 2)
        jobs.mark_uploaded(db, 2, 8)  # another file has its name by now
        assert len(jobs.let_uploads_leave(db, 3.0, 9.0, 100)) == 0  # too young
        assert len(jobs.let_uploads_leave(db, 4.0, 9.0, 100)) == 1
        assert len(jobs.let_uploads_leave(db, 4.0, 9.0, 100)) == 0
        assert len(jobs.prune(db, [1, 2], 8.0, now=9.0, uploads=True)) == 1
    (row,) = rows(db, 9.0)
    assert (row.job, row.action) == (1, "upload")
    with db:
        jobs.disposed(db, row, "deleted", 9.0)
        assert len(jobs.prune(db, [1], 8.0, now=9.0, uploads=True)) == 1


def test_an_upload_that_somebody_has_replaced_is_his(db: apsw.Connection) -> None:
    submit(db)
    finish(db, None)
    with db:
        jobs.mark_uploaded(db, 1, 2)
    assert submit(db).uploaded
    assert not submit(db, inode=8).uploaded
