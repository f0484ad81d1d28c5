"""Which of the files in an inbox are known, which are news, and which are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from scriberrd.queue import columns
from scriberrd.queue.jobs.rows import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from scriberrd.model import Identity

MISSING = "source_missing"
BARRED = ("unreadable", "bad_sidecar")  # by what may be mended without a trace at the file itself
MENDED = (MISSING, *BARRED)  # how a job failed that starts again with the same version
NEWEST = "SELECT id FROM job WHERE inbox = :inbox AND path = :path ORDER BY id DESC LIMIT 1"


class Sorted(NamedTuple):
    """What the queue knows of files in an inbox; of the others it knows all."""

    news: list[bytes]  # a version that no job knows, or a file that was missing
    renumbered: list[tuple[bytes, Identity]]  # known by numbers that have changed: for `renumber`
    mendable: list[tuple[bytes, Identity]]  # unreadable, or with a bad sidecar: perhaps no more
    undecided: set[bytes]  # with a sidecar or unread, and still to be done: they may become so


class _Known(NamedTuple):
    """What was noted of a file: by its newest job, its tombstone, or when it was passed over."""

    identity: str  # JSON
    unread: bool  # its bytes are not known, or could not be read
    failure: str | None  # of a job that has failed; its recording was missing, or has left
    undecided: bool


def unknown(db: apsw.Connection, inbox: str, found: Iterable[tuple[bytes, Identity]]) -> Sorted:
    """What of the files in an inbox is news."""
    news, renumbered, mendable, undecided = [], [], [], set()
    for path, identity in found:
        known = _known(db, inbox, path)
        if known is None or known.failure == MISSING:
            news.append(path)
            continue
        if known.identity != encode(identity):  # rare, and dearer
            noted = columns.identity(known.identity)
            touched = known.unread and noted.ctime_ns != identity.ctime_ns
            if touched or noted.version != identity.version:
                news.append(path)
                continue
            renumbered.append((path, identity))
        if known.failure in BARRED:
            mendable.append((path, identity))
        if known.undecided:
            undecided.add(path)
    return Sorted(news, renumbered, mendable, undecided)


def renumber(db: apsw.Connection, inbox: str, found: Iterable[tuple[bytes, Identity]]) -> None:
    """Note the numbers that files have now, where they are the versions that are known."""
    for path, identity in found:
        known = _known(db, inbox, path)
        if known is not None and columns.identity(known.identity).version == identity.version:
            row = {"inbox": inbox, "path": path, "identity": encode(identity)}
            db.execute(f"UPDATE job SET identity = :identity WHERE id = ({NEWEST})", row)
            for table in ("tombstone", "passed"):
                db.execute(
                    f"UPDATE {table} SET identity = :identity"
                    " WHERE (inbox, path) = (:inbox, :path)",
                    row,
                )


def pass_over(
    db: apsw.Connection,
    inbox: str,
    found: Iterable[tuple[bytes, Identity]],
    why: Literal["existing", "outputs"],
) -> int:
    """Have files left alone as they are, unless they are known; returns how many they were."""
    news = set(unknown(db, inbox, found := list(found)).news)
    db.executemany(
        "INSERT OR REPLACE INTO passed VALUES (?, ?, ?, ?)",
        [(inbox, path, encode(identity), why) for path, identity in found if path in news],
    )
    return len(news)


def take_in(db: apsw.Connection, inbox: str, path: bytes) -> None:
    """Leave a file alone no longer."""
    db.execute("DELETE FROM passed WHERE inbox = ? AND path = ?", (inbox, path))


def _known(db: apsw.Connection, inbox: str, path: bytes) -> _Known | None:
    row = {"inbox": inbox, "path": path}
    known = db.execute(
        "SELECT identity, sha256 IS NULL OR error_code = 'unreadable',"
        f" CASE WHEN disposed IS NOT NULL THEN '{MISSING}'"
        "  WHEN state = 'failed' THEN error_code END,"
        " finished_at IS NULL AND (sidecar IS NOT NULL OR sha256 IS NULL)"
        f" FROM job WHERE id = ({NEWEST})",
        row,
    ).get
    for query in _LEFT:
        known = known or db.execute(query, row).get
    return None if known is None else _Known(*known)


_LEFT = (
    (
        f"SELECT identity, sha256 IS NULL, CASE WHEN disposed IS NOT NULL THEN '{MISSING}' END, 0"
        " FROM tombstone WHERE inbox = :inbox AND path = :path"
    ),
    "SELECT identity, 0, NULL, 0 FROM passed WHERE inbox = :inbox AND path = :path",
)
