"""What is to become of recordings whose jobs have ended: rows that are carried out later."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from scriberrd.queue.jobs.rows import encode

if TYPE_CHECKING:
    import apsw

    from scriberrd.model import Job, Leaving

# Not the recording is at fault, or nobody has read it: it stays where it is.
STAYING = frozenset(
    {"unreadable", "source_missing", "not_regular", "bad_sidecar", "too_large", "read_failed"}
)


def leave(db: apsw.Connection, job: Job, leaving: Leaving, now: float) -> None:
    """Note how the recording of a job is to leave its inbox, unless that is noted already."""
    if job.sha256 is None:
        return
    db.execute(
        """
        INSERT INTO disposal (job, inbox, path, identity, sha256, action, token, target, due)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
        """,
        (
            *(job.id, job.inbox, job.path, encode(job.identity), job.sha256, leaving.action),
            *(secrets.token_hex(8), leaving.target, now),
        ),
    )
