"""Stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.library.library import Library
    from scriberrd.model import Job, Shown
    from scriberrd.queue.store import Store
    from scriberrd.transcript import Result, Transcript


class Remade(NamedTuple):
    """Stand-in."""

    text: Transcript | Result
    shown: Shown | None


async def remade(
    library: Library,
    store: Store,
    folders: Folders,
    inbox: Inbox,
    job: Job,  # noqa: ARG001
) -> Remade | None:
    """Stand-in."""
    return None
