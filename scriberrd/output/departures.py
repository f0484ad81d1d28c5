"""How recordings leave their inboxes: what the configuration says of jobs that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.files.names import numbered
from scriberrd.model import Leaving
from scriberrd.output import naming

if TYPE_CHECKING:
    from scriberrd.config import Config, Inbox
    from scriberrd.model import Job

FAILED = "failed/{folder}/{name}"  # where in the archive recordings are put that failed


def after(inbox: Inbox, job: Job) -> Leaving | None:
    """How the recording of a completed job leaves its inbox; None: it stays."""
    if inbox.links:
        return None
    if inbox.after == "delete":
        return Leaving("delete")
    if inbox.after == "archive" and inbox.archiving is not None:
        return Leaving("archive", _name(inbox, job, inbox.archiving[1]))
    return None


def on_failure(config: Config, job: Job) -> Leaving | None:
    """How the recording of a failed job leaves its inbox; None: it stays."""
    inbox = config.inbox(job.inbox)
    if inbox is None or inbox.links or inbox.on_failure == "keep":
        return None
    return Leaving("quarantine", _name(inbox, job, FAILED))


def is_wanted(config: Config, name: str, action: str) -> bool:
    """Whether what was noted of a recording of this inbox is still to be done.

    Args:
        config: as it is now.
        name: of the inbox.
        action: as in model.Leaving; or "upload".
    """
    inbox = config.inbox(name)
    if inbox is None:
        return False
    if action == "upload":
        return config.retention.uploads > 0
    return not inbox.links and action in {inbox.after, inbox.on_failure}


def _name(inbox: Inbox, job: Job, template: str) -> bytes:
    folder, _, name = job.path.rpartition(b"/")
    stem, dot, extension = name.rpartition(b".")
    filled = naming.filled(
        template,
        folder=folder,
        name=name,
        stem=stem or name,
        date=naming.date(job.identity).encode(),
        inbox=inbox.name.encode(),
        job=b"%d" % job.id,
    )
    if not filled.endswith(dot + extension):
        filled += dot + extension
    return b"/".join(numbered(part, 1) for part in filled.split(b"/"))
