"""The moves of a job: every function here changes the queue, in the transaction of its caller.

Each change commits together with the event that tells of it. A holder's writes are fenced: they
name the lease that the claim gave out, and raise LeaseLost when the job has been taken back.
"""

from scriberrd.jobs.holder import (
    checkpoint,
    claim,
    fail,
    finish,
    loaded,
    next_due,
    probed,
    recover,
    release,
    renew,
    transcribed,
)
from scriberrd.jobs.orders import cancel, cancel_requested, retry
from scriberrd.jobs.outputs import reserve, unreserve
from scriberrd.jobs.rows import Hold
from scriberrd.jobs.submission import newest, submit, unknown

__all__ = [
    "Hold",
    "cancel",
    "cancel_requested",
    "checkpoint",
    "claim",
    "fail",
    "finish",
    "loaded",
    "newest",
    "next_due",
    "probed",
    "recover",
    "release",
    "renew",
    "reserve",
    "retry",
    "submit",
    "transcribed",
    "unknown",
    "unreserve",
]
