"""How a run has ended, for the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from scriberrd.failures import FAILURES
from scriberrd.logs import Event
from scriberrd.model import JobState

if TYPE_CHECKING:
    from scriberrd.model import Job
    from scriberrd.work.messages import Interruption

log = logging.getLogger(__name__)

RELEASED: dict[Interruption, str] = {
    "cancel": "it was to be canceled",
    "release": "the daemon stops",
    "preempt": "an urgent job goes first",
    "close": "its worker takes nothing more for now",
}


def tell(job: Job, released: Interruption | None = None, *, start: float = 0.0) -> None:
    """Log how a run of a job has ended, or why it was given up.

    Args:
        job: as it is then.
        released: why it was given up.
        start: where in the recording a run began that has completed it, in seconds.
    """
    match job.state:
        case JobState.COMPLETED:
            seconds, audio = (job.finished_at or 0) - (job.started_at or 0), job.progress - start
            factor = f", real-time factor {seconds / audio:.3f}" if audio > 0 else ""
            what = f"completed in {seconds:.1f} s ({audio:.0f} s of audio{factor})"
            log.info("%s", what, extra={"event": Event.JOB_COMPLETED})
        case JobState.CANCELED:
            log.info("canceled", extra={"event": Event.JOB_CANCELED})
        case JobState.FAILED:
            log.warning("failed: %s", _why(job), extra={"event": Event.JOB_FAILED})
        case _ if released is not None:
            log.info(
                "back in the queue: %s", RELEASED[released], extra={"event": Event.JOB_RELEASED}
            )
        case _:
            outage = FAILURES[job.error_code or ""].part is not None  # which has told of it
            level = logging.INFO if outage else logging.WARNING
            what = f"back in the queue, to be tried again: {_why(job)}"
            log.log(level, "%s", what, extra={"event": Event.JOB_RETRIED})


def _why(job: Job) -> str:
    return ": ".join(filter(None, (job.error_code, job.error_detail)))
