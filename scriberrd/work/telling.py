"""How a run has ended, for the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from scriberrd.failures import FAILURES
from scriberrd.logs import Event
from scriberrd.model import JobState

if TYPE_CHECKING:
    from scriberrd.model import Execution, Job
    from scriberrd.work.messages import Interruption

log = logging.getLogger(__name__)

RELEASED: dict[Interruption, str] = {
    "cancel": "it was to be canceled",
    "release": "the daemon stops",
    "preempt": "an urgent job goes first",
    "close": "its worker takes nothing more for now",
}


def tell(job: Job, released: Interruption | None = None, *, run: Execution | None = None) -> None:
    """Log how a run of a job has ended, or why it was given up.

    Args:
        job: as it is then.
        released: why it was given up.
        run: the one that has completed it.
    """
    match job.state:
        case JobState.COMPLETED:
            seconds, audio = (job.finished_at or 0) - (job.started_at or 0), ""
            if run is not None and (factor := run.real_time_factor) is not None:
                audio = f" ({run.audio_seconds:.0f} s of audio, real-time factor {factor:.3f})"
            log.info("completed in %.1f s%s", seconds, audio, extra={"event": Event.JOB_COMPLETED})
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
