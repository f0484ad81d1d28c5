"""Done anew: the old transcript serves until the new one is in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scriberrd import config
from scriberrd.errors import IllegalMove
from scriberrd.model import Identity, Job, JobState, Shown, Source, Stage
from scriberrd.protocol import Finished
from scriberrd.queue import jobs, queries, store
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings
from scriberrd.transcript import BlockResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

BLOCK = BlockResult(
    number=0,
    start=0.0,
    end=5.0,
    speech=1.0,
    language=None,
    language_probability=None,
    segments=(),
    words=(),
)
V1, V2 = Identity(1, 10, 100, 1000, 1000), Identity(1, 11, 200, 3000, 3000)
NAMES = [b"talk.json", b"talk.txt"]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = store.connect(tmp_path / "queue.db")
    submit(connection, V1)
    lease = claim(connection)
    with transaction(connection):
        jobs.reserve(connection, lease, NAMES)
        jobs.published(connection, lease, now=3.0, warnings=("the first",))
        jobs.finish(connection, lease, language="en", now=3.0)
    yield connection
    connection.close()


def submit(db: apsw.Connection, identity: Identity) -> tuple[Job, bool]:
    source = Source("inbox", b"talk.mp3", identity, f"sha{identity.size}")
    with transaction(db):
        return jobs.submit(db, source, profile="default", settings=Settings(), now=1.0)


def claim(db: apsw.Connection) -> jobs.Lease:
    with transaction(db):
        job = jobs.claim(db, "worker", now=2.0, expires=100.0, longest=3600)
    assert job is not None
    return jobs.Lease(job.id, job.lease)


def redo(db: apsw.Connection) -> Job:
    with transaction(db):
        return jobs.redo(db, 1, profile="large", settings=Settings(model="large-v3"), now=4.0)


def test_a_completed_job_starts_anew_with_the_settings_of_today(db: apsw.Connection) -> None:
    job = redo(db)
    assert (job.state, job.redo, job.profile) == (JobState.QUEUED, True, "large")
    assert job.settings.model == "large-v3"
    assert (job.progress, job.duration, job.finished_at) == (0, None, None)
    assert queries.events(db, 0, 100, 1)[-1].type == "redone"


@pytest.mark.parametrize("end", ["cancel", "fail", "finish"])
def test_the_outputs_are_served_until_and_after_the_end(db: apsw.Connection, end: str) -> None:
    expected = (b"talk.json", b"talk.txt")
    assert redo(db).outputs == expected
    lease = claim(db)
    with transaction(db):
        assert tuple(jobs.reserve(db, lease, NAMES) or ()) == expected
        if end == "cancel":
            jobs.cancel(db, 1, 5.0)
            job = jobs.release(db, lease, now=5.0)
        elif end == "fail":
            job = jobs.fail(db, lease, "source_missing", "", retry=config.Retry(), now=5.0)
        else:
            jobs.published(db, lease, now=5.0, warnings=("the second",))
            job = jobs.finish(db, lease, language="en", now=5.0)
    assert job.outputs == expected
    assert job.warnings == ("the second" if end == "finish" else "the first",)
    assert (job.redo, job.state is JobState.COMPLETED) == (end != "finish", end == "finish")


def test_what_has_not_ended_or_has_a_newer_version_is_refused(db: apsw.Connection) -> None:
    redo(db)
    with pytest.raises(IllegalMove, match="job 1 is queued: it can't be redone"):
        redo(db)
    lease = claim(db)
    with pytest.raises(IllegalMove, match="is processing"):
        redo(db)
    with transaction(db):
        jobs.published(db, lease, now=5.0)
        jobs.finish(db, lease, language="en", now=5.0)
    submit(db, V2)
    with pytest.raises(IllegalMove, match="job 2 is newer and has its recording"):
        redo(db)


def test_a_new_version_ends_what_was_to_be_done_anew(db: apsw.Connection) -> None:
    redo(db)
    job, new = submit(db, V2)
    assert (job.id, job.redo, job.outputs, job.warnings, new) == (1, False, (), (), True)


def test_a_stage_is_redone_with_the_words_that_there_are(db: apsw.Connection) -> None:
    before = queries.get(db, 1)
    shown = Shown("turns", ("SPEAKER_00", "SPEAKER_01"))
    with transaction(db):
        job = jobs.redo(
            *(db, 1),
            profile="default",
            settings=Settings(diarize="auto"),
            now=4.0,
            overrides={"speakers": "2"},
            stage="diarize",
        )
    assert (job.redo, job.redo_stage, job.overrides) == (True, "diarize", {"speakers": "2"})
    assert (job.progress, job.duration) == (before.progress, before.duration)
    lease = claim(db)
    with transaction(db):
        jobs.diarizing(db, lease, expires=100.0)
        jobs.renew(db, lease, expires=101.0, diarized=0.5)
    job = queries.get(db, 1)
    assert (job.stage, job.diarized) == (Stage.DIARIZING, 0.5)
    with transaction(db):
        jobs.saving(db, lease, expires=102.0)
        job = jobs.finish(db, lease, language="en", now=5.0, shown=shown)
    assert (job.redo, job.redo_stage, job.diarized, job.shown) == (False, None, None, shown)
    assert job.overrides == {"speakers": "2"}


def test_only_the_runs_that_made_this_transcript_count(db: apsw.Connection) -> None:
    finished = Finished(job=1, lease=2, duration=9.0, warnings=())
    redo(db)
    for begins, ends in ((100.0, 103.0), (200.0, 205.0)):
        with transaction(db):
            job = jobs.claim(db, "worker", now=begins, expires=100.0, longest=3600)
            assert job is not None
            lease = jobs.Lease(job.id, job.lease)
            if begins == 100.0:
                jobs.checkpoint(db, lease, BLOCK, expires=200.0, now=begins)
                jobs.release(db, lease, now=ends)
    with transaction(db):
        jobs.transcribed(db, lease, finished, now=ends)
    done = jobs.work(db, 1).finished
    assert done is not None
    assert done.seconds == 3.0 + 5.0


def test_names_are_of_the_turns_that_are_shown(db: apsw.Connection) -> None:
    def finish(turns: str | None) -> dict[tuple[str, str], str]:
        redo(db)
        lease, shown = claim(db), None if turns is None else Shown(turns, ("SPEAKER_00",))
        with transaction(db):
            return jobs.finish(db, lease, language="en", now=5.0, shown=shown).names

    assert finish("one") == {}
    db.execute("INSERT INTO speaker VALUES (1, 'one', 'SPEAKER_00', 'Ada')")
    ada = {("one", "SPEAKER_00"): "Ada"}
    assert queries.get(db, 1).names == ada
    assert finish("one") == ada
    assert finish(None) == ada  # they may be shown again
    assert finish("two") == {}
    assert finish("one") == {}


def test_an_ended_job_is_taken_at_once_to_be_rendered_again(db: apsw.Connection) -> None:
    before = queries.get(db, 1)
    with transaction(db):
        job = jobs.take_again(
            *(db, 1),
            worker="rendering",
            now=4.0,
            expires=100.0,
            settings=Settings(formats=("txt",)),
        )
    assert (job.state, job.redo, job.redo_stage) == (JobState.PROCESSING, True, "merge")
    assert (job.lease, job.lease_expires) == (before.lease + 1, 100.0)
    assert (job.progress, job.outputs) == (before.progress, before.outputs)
    assert job.settings.formats == ("txt",)
    with pytest.raises(IllegalMove, match="job 1 is processing: it can't be redone"):
        jobs.take_again(db, 1, worker="rendering", now=4.0, expires=100.0)
    with transaction(db):  # whoever has it dies: any worker does the same
        released = jobs.release(db, jobs.Lease(1, job.lease), now=5.0)
    assert (released.state, released.redo_stage) == (JobState.QUEUED, "merge")
