"""A daemon for each test that asks for one."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

import pytest
from program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Make programs, started unless told otherwise; afterwards all end, with sound databases."""
    made: list[Program] = []

    def make(*, start: bool = True, **settings: object) -> Program:
        root = tmp_path / f"p{len(made)}"
        root.mkdir()
        made.append(Program(root, **settings))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        if one.daemon is not None:
            assert one.stop() == 0, one.log.read_text()
        # Of the daemon itself; those of workers come behind the name of a job.
        assert not re.search("^Traceback", one.log.read_text(), re.MULTILINE)
        with sqlite3.connect(one.root / "state/scriberrd.db") as db:
            assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        db.close()
