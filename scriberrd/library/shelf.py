"""What the library keeps, as rows: put, found, forgotten. Each function is one transaction."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from scriberrd.protocol import POLICY, Probed
from scriberrd.queue.jobs import Done
from scriberrd.transcript import BlockResult, EngineInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

    from scriberrd.model import Settings

STAGE = "transcribe"


class Key(NamedTuple):
    """What the result of a stage depends on, but for the revision of the model."""

    sha256: str  # of the recording
    settings: str  # JSON: the settings as used, with the fallbacks
    model: str

    @classmethod
    def of(cls, sha256: str, settings: Settings, fallbacks: Iterable[str]) -> Key:
        """The key of a result that was made with these settings, but for these steps down."""
        steps, model = list(fallbacks), settings.model
        for step in steps:
            setting, _, after = step.partition(" ")
            if setting == "model":
                model = after.rpartition(" -> ")[2]
        text = msgspec.json.encode([settings.comparable(), steps]).decode()
        return cls(sha256, text, f"{settings.engine} {model}")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a result says of the whole recording."""

    probe: Probed
    engine: EngineInfo
    done: Done


class Found(NamedTuple):
    """A result in the library."""

    id: int
    key: Key
    head: Head
    parts: int


def find(db: apsw.Connection, key: Key, now: float) -> Found | None:
    """The latest result of this key, if it was made as it would be now.

    A model that has come in another revision since makes other results.
    """
    row: tuple[int, bytes, int] | None = db.execute(
        """
        UPDATE result SET hits = hits + 1, used_at = :now WHERE id = (
            SELECT id FROM result
            WHERE sha256 = :sha256 AND stage = :stage AND settings = :settings AND policy = :policy
                  AND revision = (SELECT revision FROM result WHERE stage = :stage
                                  AND model = :model ORDER BY created_at DESC LIMIT 1))
        RETURNING id, head, parts
        """,
        {**key._asdict(), "stage": STAGE, "policy": POLICY, "now": now},
    ).get
    if row is None:
        return None
    id_, head, parts = row
    try:
        return Found(id_, key, msgspec.json.decode(head, type=Head), parts)
    except msgspec.MsgspecError:  # another version of scriberrd has written it
        return None


def blocks(db: apsw.Connection, found: Found) -> Iterator[str]:
    """The JSON of each block of a result, checked, and read as it is asked for.

    Raises:
        LookupError: it has gone, or some of it has.
        MsgspecError: it is no block: another version of scriberrd has written it.
    """
    rows = db.execute(
        "SELECT content FROM result JOIN part ON part.result = id"
        " WHERE id = ? AND sha256 = ? AND settings = ? ORDER BY number",
        (found.id, found.key.sha256, found.key.settings),
    )
    left = found.parts
    for (content,) in rows:
        left -= 1
        text = zlib.decompress(content)
        msgspec.json.decode(text, type=BlockResult)
        yield text.decode()
    if left:
        raise LookupError("it is gone")


def put(
    db: apsw.Connection,
    key: Key,
    head: Head,
    blocks: Iterable[BlockResult],
    now: float,
    limit: float,
) -> None:
    """Keep a result instead of what there was of this key, and no more than there is room for.

    Args:
        db: the library.
        key: of the result.
        head: what it says of the whole recording.
        blocks: what was said in each, in their order.
        now: the time.
        limit: see `prune`.
    """
    unique = (key.sha256, STAGE, key.settings, head.engine.revision or "", POLICY)
    db.execute(
        "DELETE FROM result WHERE (sha256, stage, settings, revision, policy) = (?, ?, ?, ?, ?)",
        unique,
    )
    id_: int = db.execute(
        "INSERT INTO result (sha256, stage, settings, revision, policy, model, head, created_at,"
        " used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (*unique, key.model, msgspec.json.encode(head), now, now),
    ).get
    for block in blocks:
        content = zlib.compress(msgspec.json.encode(block))
        db.execute("INSERT INTO part VALUES (?, ?, ?)", (id_, block.number, content))
    db.execute(
        "UPDATE result SET (parts, size) ="
        " (SELECT count(*), coalesce(sum(length(content)), 0) FROM part WHERE result = id)"
        " WHERE id = ?",
        (id_,),
    )
    prune(db, -math.inf, limit)


def forget(db: apsw.Connection, recordings: Iterable[str]) -> bool:
    """Delete all results of recordings, by their SHA-256; True, since it is done."""
    db.executemany("DELETE FROM result WHERE sha256 = ?", [(sha256,) for sha256 in recordings])
    return True


def prune(db: apsw.Connection, before: float, limit: float) -> bool:
    """Delete what was not used since a time, and more of what was not used for longest.

    Args:
        db: the library.
        before: the time.
        limit: bytes that the rest may have; math.inf: any number.

    Returns:
        Whether there was anything to delete.
    """
    ever = db.total_changes()
    db.execute("DELETE FROM result WHERE used_at < ?", (before,))
    # First whether there is too much at all: to look for the oldest takes longer.
    if limit < math.inf and db.execute("SELECT total(size) FROM result").get > limit:
        db.execute(
            "DELETE FROM result WHERE id IN (SELECT id FROM ("
            " SELECT id, sum(size) OVER (ORDER BY used_at DESC, id DESC) AS so_far FROM result"
            ") WHERE so_far > ?)",
            (limit,),
        )
    return db.total_changes() != ever
