"""Which recordings are not transcribed: what an inbox says of their size and length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.errors import TaskFailed

if TYPE_CHECKING:
    from scriberrd.config import Inbox
    from scriberrd.model import Job


def check(inbox: Inbox, job: Job) -> None:
    """See that a recording may be transcribed, before it is opened.

    Raises:
        TaskFailed: what lies beside it can't be used, or it is too large.
    """
    if job.sidecar is not None and job.sidecar.problem:
        raise TaskFailed("bad_sidecar", job.sidecar.problem)
    if 0 < inbox.max_size < job.identity.size:
        what = f"{job.identity.size} bytes; max_size is {inbox.max_size:d}"
        raise TaskFailed("too_large", what)


def is_set_beside(job: Job, detail: str) -> bool:
    """Whether what an engine does not support was set by a file beside the recording.

    Args:
        job: with the settings that were not supported.
        detail: of the failure; it begins with the key.
    """
    key = detail.partition(":")[0]
    return job.sidecar is not None and key in job.sidecar.given and key not in job.overrides


def check_duration(inbox: Inbox | None, seconds: float | None) -> None:
    """See that a recording may be transcribed, before the model is loaded for it.

    Args:
        inbox: that it lies in, if that is configured.
        seconds: of the recording; None: its container does not say.

    Raises:
        TaskFailed: it is too short or too long.
    """
    if inbox is None or seconds is None:
        return
    if seconds < inbox.min_duration:
        what = f"{seconds:.1f} s; min_duration is {inbox.min_duration:g} s"
        raise TaskFailed("too_short", what)
    if 0 < inbox.max_duration < seconds:
        what = f"{seconds:.1f} s; max_duration is {inbox.max_duration:g} s"
        raise TaskFailed("too_long", what)
