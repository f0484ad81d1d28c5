"""A database with many finished jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from scriberrd.queue import store
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons import Daemon

EVENTS = ("submitted", "claimed", "checkpointed", "finished")
FORMATS = ("json", "txt", "srt", "vtt")


def fill(it: Daemon, count: int) -> None:
    """Write finished jobs into the database, with all that belongs to each."""
    settings = msgspec.json.encode(Settings()).decode()
    now = time.time() - 1e6
    db = store.connect(it.folder / "state/scriberrd.db")
    with transaction(db):
        db.executemany(
            "INSERT INTO job (state, inbox, path, identity, sha256, profile, settings, priority,"
            " lease, created_at, queued_at, started_at, finished_at, published_at, progress,"
            " duration, language) VALUES ('completed', 'bench', ?, ?, ?, 'default', ?, 2, 1,"
            " ?, ?, ?, ?, ?, 60, 60, 'en')",
            (
                (
                    b"talks/%d.opus" % n,
                    f"[1,{n},{n},{n},{n}]",
                    f"{n:064x}",
                    settings,
                    *[now + n] * 5,
                )
                for n in range(1, count + 1)
            ),
        )
        db.executemany(
            "INSERT INTO execution (job, lease, worker, started_at, finished_at, outcome,"
            " start_position, audio_seconds) VALUES (?, 1, 'cpu', ?, ?, 'completed', 0, 60)",
            ((n, now + n, now + n + 30) for n in range(1, count + 1)),
        )
        db.executemany(
            "INSERT INTO output (inbox, name, job, published) VALUES ('bench', ?, ?, ?)",
            outputs(count),
        )
        db.executemany(
            "INSERT INTO event (at, job, type, data) VALUES (?, ?, ?, '{}')",
            ((now + n, n, event) for n in range(1, count + 1) for event in EVENTS),
        )
    db.close()


def outputs(count: int) -> Iterator[tuple[bytes, int, int]]:
    for number in range(1, count + 1):
        for extension in FORMATS:
            yield b"talks/%d.%s" % (number, extension.encode()), number, number
