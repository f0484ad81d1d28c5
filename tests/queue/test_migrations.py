"""Old databases open for ever, and a crash during a migration leaves the old or the new one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from later import STEPS, later, structure

from scriberrd.model import JobState
from scriberrd.queue import jobs, queries, store
from scriberrd.queue.migrations import CURRENT, Schema
from scriberrd.queue.transactions import transaction

DATABASES = Path(__file__).parent.parent / "databases"

DIE = """
import os, signal, sys
from pathlib import Path
import apsw
from scriberrd.queue import store
from scriberrd.queue.migrations import Schema

def die():
    os.kill(os.getpid(), signal.SIGKILL)

apsw.connection_hooks.append(lambda db: db.create_scalar_function("die", die, 0))
store.connect(Path(sys.argv[1]), schema=Schema.read(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("file", sorted(DATABASES.glob("v*.db")), ids=lambda file: file.stem)
def test_an_old_database_opens_and_works(tmp_path: Path, file: Path) -> None:
    shutil.copy(file, tmp_path)
    db = store.connect(tmp_path / file.name)
    fresh = store.connect(tmp_path / "fresh.db")
    assert structure(db) == structure(fresh)
    fresh.close()
    assert db.pragma("user_version") == store.VERSION
    assert db.pragma("quick_check") == "ok"
    known = queries.find(db, limit=100)
    assert {job.state for job in known} == set(JobState)
    assert queries.counts(db) == {
        state: sum(job.state is state for job in known) for state in JobState
    }
    (done,) = [job for job in known if job.state is JobState.COMPLETED]
    assert done.outputs == (b"a.json", b"a.txt")
    assert jobs.work(db, done.id).finished is None  # its checkpoints are gone
    for job in known:
        assert queries.events(db, 0, 100, job.id)
        queries.executions(db, job.id)
        list(queries.Blocks(db, job.id))
    with transaction(db):
        (lost,) = jobs.recover(db, 2e9, limit=5, leaving=lambda _: None)
        assert list(queries.Blocks(db, lost.id))
        claimed = jobs.claim(db, "worker", now=2e9, expires=1.0, longest=3600.0)
        assert claimed is not None
        work = jobs.work(db, lost.id)
        assert work.last is not None
        jobs.finish(db, jobs.Lease(claimed.id, claimed.lease), language=None, now=2e9)
    db.close()


def test_each_step_is_applied_once_and_leads_to_the_schema_of_a_new_database(
    tmp_path: Path,
) -> None:
    schema = later(tmp_path / "later", *STEPS)
    store.connect(tmp_path / "old.db").close()
    for _ in range(2):
        db = store.connect(tmp_path / "old.db", schema=schema)
        assert db.pragma("user_version") == schema.version == CURRENT.version + 2
        new = store.connect(tmp_path / "new.db", schema=schema)
        assert structure(db) == structure(new)
        assert db.pragma("foreign_keys") == 1
        new.close()
        db.close()


def test_a_step_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    store.connect(tmp_path / "old.db").close()
    schema = later(tmp_path / "later", STEPS[0], "DROP TABLE event; SELECT mistake")
    with pytest.raises(apsw.SQLError, match="mistake"):
        store.connect(tmp_path / "old.db", schema=schema)
    db = store.connect(tmp_path / "old.db", schema=later(tmp_path / "between", STEPS[0]))
    assert db.pragma("user_version") == CURRENT.version + 1
    assert db.execute("SELECT count(*) FROM event").get == 0
    db.close()


@pytest.mark.parametrize("dying", [0, 1])
def test_kill_9_during_a_migration_leaves_old_or_new(tmp_path: Path, dying: int) -> None:
    path = tmp_path / "old.db"
    shutil.copy(DATABASES / "v1.db", path)
    store.connect(path).close()
    steps = list(STEPS)
    steps[dying] = steps[dying].replace("/* dies here */", "SELECT die();")
    later(tmp_path / "deadly", *steps)
    done = subprocess.run(
        [sys.executable, "-c", DIE, path, tmp_path / "deadly"], check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

    db = store.connect(path, schema=later(tmp_path / "as-left", *STEPS[:dying]))
    assert db.pragma("user_version") == CURRENT.version + dying
    assert db.pragma("quick_check") == "ok"
    before = queries.find(db, limit=100)
    db.close()
    db = store.connect(path, schema=later(tmp_path / "later", *STEPS))
    assert queries.find(db, limit=100) == before
    assert {job.state for job in before} == set(JobState)
    db.close()


def test_numbers_have_no_gap(tmp_path: Path) -> None:
    later(tmp_path / "later", *STEPS)
    (tmp_path / "later/migrations/0002_step.sql").unlink()
    with pytest.raises(ValueError, match="numbered 0002_, 0003_"):
        Schema.read(tmp_path / "later")
