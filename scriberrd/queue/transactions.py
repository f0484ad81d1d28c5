"""All of it, or nothing: by statements of its own, and not by `with db:` of apsw.

That holds the interpreter's lock while it waits for the lock of another process, and while a commit
is synced: every thread of the daemon would stand still with it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import apsw

T = TypeVar("T")


@contextlib.contextmanager
def transaction(db: apsw.Connection, *, write: bool = True) -> Iterator[None]:
    """Commit what the block does, or undo it when the block or the commit fails.

    Args:
        db: the database, with no transaction open.
        write: take the lock at once: one that asks for it later can fail at once, too. Without it,
            the block only gets to see one state of the data.
    """
    db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk rolls back by itself
            db.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def savepoint(db: apsw.Connection) -> Iterator[None]:
    """Undo what the block does when it fails, and nothing else of the transaction around it."""
    db.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK TO part; RELEASE part")
        raise
    db.execute("RELEASE part")


class _Undo(Exception):
    """Ends what is only tried."""


def undone(db: apsw.Connection, function: Callable[[apsw.Connection], T]) -> T:
    """What `function(db)` would give: whatever it changes is undone."""
    with contextlib.suppress(_Undo), savepoint(db):
        result = function(db)
        raise _Undo
    return result
