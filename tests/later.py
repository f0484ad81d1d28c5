"""A later scriberrd, for tests of what it does with the databases of today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scriberrd.queue.migrations import CURRENT, Schema

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

# The second one has to make a table anew.
STEPS = (
    "ALTER TABLE job ADD COLUMN note TEXT; UPDATE job SET note = inbox; /* dies here */",
    """
    CREATE TABLE new (job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
                      number INTEGER NOT NULL, block TEXT NOT NULL,
                      PRIMARY KEY (job, number)) STRICT;
    INSERT INTO new SELECT * FROM checkpoint;
    DROP TABLE checkpoint; /* dies here */
    ALTER TABLE new RENAME TO checkpoint;
    """,
)


def structure(db: apsw.Connection) -> Any:
    """What a schema amounts to: how it was written, and the order of columns, does not count."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    others = "SELECT type, name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL"
    columns = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?)'
    keys = 'SELECT "table", "from", on_delete FROM pragma_foreign_key_list(?)'
    return (
        {name: sorted(map(repr, db.execute(columns, (name,)))) for name in tables},
        {name: sorted(map(repr, db.execute(keys, (name,)))) for name in tables},
        sorted((kind, name, " ".join(sql.split())) for kind, name, sql in db.execute(others)),
    )


def later(folder: Path, *steps: str) -> Schema:
    """The schema of a later scriberrd, in a folder."""
    (folder / "migrations").mkdir(parents=True)
    (folder / "schema.sql").write_text(CURRENT.whole + "".join(steps))
    for number, step in enumerate((*CURRENT.steps, *steps), 2):
        (folder / "migrations" / f"{number:04}_step.sql").write_text(step)
    return Schema.read(folder)
