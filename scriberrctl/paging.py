"""Jobs of more than one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scriberrctl.client import Client
    from scriberrctl.shapes import Job

PAGE = 1000  # jobs: the daemon's limit for one page


def jobs(
    client: Client, limit: int | None, *, before: int | None = None, **wanted: Any
) -> tuple[list[Job], bool]:
    """At most `limit` jobs, newest first, and whether there are more.

    Args:
        client: to ask.
        limit: None: all of them.
        before: only those with a smaller id.
        wanted: what is asked of `Client.jobs`.
    """
    found: list[Job] = []
    while limit is None or len(found) < limit:
        most = PAGE if limit is None else min(limit - len(found), PAGE)
        page = client.jobs(before=before, limit=most, **wanted)
        found += page["jobs"]
        before = page["next"]
        if before is None:
            break
    return found, before is not None
