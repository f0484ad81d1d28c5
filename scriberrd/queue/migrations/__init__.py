"""From an old database to today's schema.

`schema.sql` is the whole schema of a new database. Beside it, each numbered file here brings a
database one version further: `0002_what_it_does.sql` from version 1 to version 2, and so on. A file
that was released is never changed.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.queue.transactions import transaction

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import apsw


class Schema(NamedTuple):
    """What a database should look like, and how an older one gets there."""

    whole: str  # SQL that makes a new database
    steps: tuple[str, ...]  # SQL from version 1 to 2, from 2 to 3 ...

    @property
    def version(self) -> int:
        """The version of a database that has all of it: its `user_version`."""
        return 1 + len(self.steps)

    @classmethod
    def read(cls, folder: Traversable) -> Schema:
        """The `schema.sql` of a folder, and the numbered files of its folder `migrations`.

        Raises:
            ValueError: the numbers have a gap, or one is there twice.
        """
        files = {
            file.name: file.read_text("utf-8")
            for file in folder.joinpath("migrations").iterdir()
            if file.name.endswith(".sql")
        }
        names = sorted(files)
        if [name[:5] for name in names] != [f"{n + 2:04}_" for n in range(len(names))]:
            raise ValueError(f"migrations are numbered 0002_, 0003_ ...: {', '.join(names)}")
        whole = folder.joinpath("schema.sql").read_text("utf-8")
        return cls(whole, tuple(files[name] for name in names))


CURRENT = Schema.read(resources.files("scriberrd.queue"))


def migrate(db: apsw.Connection, schema: Schema, *, application: int) -> None:
    """Bring a database to the newest version. Each step is a transaction: all of it, or nothing.

    Call it before foreign keys are enforced: a step may have to make a table anew.

    Args:
        db: the database.
        schema: what it should have.
        application: the id that a new database gets.
    """
    with transaction(db):
        if db.pragma("user_version") == 0:
            db.execute(schema.whole)
            db.pragma("application_id", application)
            db.pragma("user_version", schema.version)
    for version in range(_version(db), schema.version):
        with transaction(db):
            db.execute(schema.steps[version - 1])
            if broken := db.execute("PRAGMA foreign_key_check").fetchall():
                raise ValueError(f"the step to version {version + 1} left {broken[:3]} dangling")
            db.pragma("user_version", version + 1)


def _version(db: apsw.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").get
    return version
