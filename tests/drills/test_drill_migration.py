"""The daemon dies while it brings an old database to a new schema."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from later import STEPS, later, structure
from program import AUDIO, TALK, Program
from promises import checkpointed

from scriberrd.queue import queries, store
from scriberrd.queue.migrations import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SABOTEUR = (sys.executable, Path(__file__).parent / "saboteur.py")
MOMENTS = [  # and how many steps are done then
    *(("in step 1", 0), ("before:COMMIT:2", 0), ("after:COMMIT:1", 1)),
    *(("in step 2", 1), ("before:COMMIT:3", 1), ("after:COMMIT:2", 2)),
]
QUICK = "in step 2"


def look(path: Path) -> tuple[int, Any, Any]:
    """The version of a database, its structure and its jobs; it is sound."""
    with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        assert db.pragma("quick_check") == "ok"
        return db.pragma("user_version"), structure(db), queries.find(db, limit=100)


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    ("moment", "done"),
    [pytest.param(*case, marks=[] if case[0] == QUICK else pytest.mark.slow) for case in MOMENTS],
)
def test_dies_in_a_migration(program: Make, moment: str, done: int) -> None:
    """kill -9 of a new daemon within a step of its migration, or before or after its commit
    -> the database is as before the step or as after it; the next start does the rest"""
    daemon = program(block_seconds=5, model="slow")
    daemon.drop(TALK, "long.opus")
    checkpointed(daemon, "long.opus")
    daemon.drop(AUDIO / "speech.opus", "next.opus")
    daemon.wait("next.opus", "queued")
    daemon.stop(signal.SIGKILL)
    path = daemon.root / "state/scriberrd.db"
    _, _, jobs = look(path)

    steps = list(STEPS)
    sabotage = {"SABOTAGE_CRASH": moment}
    if moment.startswith("in step"):
        steps[done] = steps[done].replace("/* dies here */", "SELECT die();")
        sabotage = {}
    later(daemon.root / "deadly", *steps)
    daemon.launch(*SABOTEUR, SABOTAGE_SCHEMA=str(daemon.root / "deadly"), **sabotage)
    assert daemon.wait_dead() == -signal.SIGKILL, daemon.log.read_text()
    as_left = later(daemon.root / "as-left", *STEPS[:done])
    store.connect(daemon.root / "new.db", schema=as_left).close()
    _, expected, _ = look(daemon.root / "new.db")
    assert look(path) == (CURRENT.version + done, expected, jobs)

    later(daemon.root / "later", *STEPS)
    daemon.start(*SABOTEUR, SABOTAGE_SCHEMA=str(daemon.root / "later"))
    for name in ("long.opus", "next.opus"):
        assert daemon.wait(name, "completed")["failures"] == 0
    version, _, _ = look(path)
    assert version == CURRENT.version + len(STEPS)
