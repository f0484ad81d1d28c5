"""What the library keeps, as rows: put, found, forgotten. Each function is one transaction."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from scriberrd.protocol import DIARIZING, POLICY, Probed
from scriberrd.queue.jobs import Done
from scriberrd.settings import LATER, Settings
from scriberrd.transcript import EngineInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

UNUSED = Settings(formats=()).comparable()  # what settings are before somebody sets them
# What the turns depend on, besides the bytes.
HEARD = (
    *("diarizer", "diarization_model", "speakers", "min_speakers", "max_speakers"),
    "audio_track",
)


class Key(NamedTuple):
    """What the result of a stage depends on, but for the revision of the model."""

    stage: str
    sha256: str  # of the recording
    settings: str  # JSON: the settings as used, with the fallbacks
    model: str
    policy: int  # how the worker does it

    @classmethod
    def words(cls, sha256: str, settings: Settings, fallbacks: Iterable[str]) -> Key:
        """Of what was said, when it was made with these settings, but for these steps down."""
        steps, model = list(fallbacks), settings.model
        for step in steps:
            setting, _, after = step.partition(" ")
            if setting == "model":
                model = after.rpartition(" -> ")[2]
        used = msgspec.to_builtins(settings.comparable())
        for name in LATER:  # as long as they are not used, all that was kept before is found
            if used[name] == getattr(UNUSED, name):
                del used[name]
        text = msgspec.json.encode([used, steps]).decode()
        return cls("transcribe", sha256, text, f"{settings.engine} {model}", POLICY)

    @classmethod
    def turns(cls, sha256: str, settings: Settings) -> Key:
        """Of who spoke when."""
        used = [getattr(settings, name) for name in HEARD]
        model = f"{settings.diarizer} {settings.diarization_model}"
        return cls("diarize", sha256, msgspec.json.encode(used).decode(), model, DIARIZING)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the words of a recording say of the whole of it."""

    probe: Probed
    engine: EngineInfo
    done: Done


class Found(NamedTuple):
    """A result in the library."""

    id: int
    key: Key
    head: bytes
    parts: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How much the library has, and how often that was of use."""

    results: int = 0
    bytes: int = 0
    hits: int = 0


def totals(db: apsw.Connection) -> Totals:
    """Of all results."""
    results, size, hits = db.execute(
        "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(hits), 0) FROM result"
    ).get
    return Totals(results=results, bytes=size, hits=hits)


def find(
    db: apsw.Connection, key: Key, now: float, *, revision: str | None = None, since: float = 0.0
) -> Found | None:
    """The latest result of this key, if it was made as it would be now.

    A model that has come in another revision since makes other results.

    Args:
        db: the library.
        key: of the result.
        now: the time.
        revision: of the model that it was made with, if that is not to be the latest one.
        since: the time before which none counts.
    """
    row: tuple[int, bytes, int] | None = db.execute(
        """
        UPDATE result SET hits = hits + 1, used_at = :now WHERE id = (
            SELECT id FROM result
            WHERE sha256 = :sha256 AND stage = :stage AND settings = :settings AND policy = :policy
                  AND created_at >= :since
                  AND revision = coalesce(:revision, (SELECT revision FROM result
                                                      WHERE stage = :stage AND model = :model
                                                      ORDER BY created_at DESC LIMIT 1)))
        RETURNING id, head, parts
        """,
        {**key._asdict(), "now": now, "revision": revision, "since": since},
    ).get
    if row is None:
        return None
    id_, head, parts = row
    return Found(id_, key, head, parts)


def parts(db: apsw.Connection, found: Found) -> Iterator[bytes]:
    """The parts of a result in their order, each read as it is asked for.

    Raises:
        LookupError: it has gone, or some of it has.
        zlib.error: one is damaged.
    """
    rows = db.execute(
        "SELECT content FROM result JOIN part ON part.result = id"
        " WHERE id = ? AND sha256 = ? AND settings = ? ORDER BY number",
        (found.id, found.key.sha256, found.key.settings),
    )
    left = found.parts
    for (content,) in rows:
        left -= 1
        yield zlib.decompress(content)
    if left:
        raise LookupError("it is gone")


def put(
    db: apsw.Connection,
    key: Key,
    revision: str,
    head: bytes,
    parts: Iterable[tuple[int, bytes]],
    now: float,
    limit: float,
) -> None:
    """Keep a result instead of what there was of this key, and no more than there is room for.

    Args:
        db: the library.
        key: of the result.
        revision: of the model; "" where it has none.
        head: JSON, what it says of the whole recording.
        parts: the rest, as JSON, each with its number.
        now: the time.
        limit: see `prune`.
    """
    unique = (key.sha256, key.stage, key.settings, revision, key.policy)
    db.execute(
        "DELETE FROM result WHERE (sha256, stage, settings, revision, policy) = (?, ?, ?, ?, ?)",
        unique,
    )
    id_: int = db.execute(
        "INSERT INTO result (sha256, stage, settings, revision, policy, model, head, created_at,"
        " used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (*unique, key.model, head, now, now),
    ).get
    for number, part in parts:
        db.execute("INSERT INTO part VALUES (?, ?, ?)", (id_, number, zlib.compress(part)))
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
