"""The moves of a job: every function here changes the queue, in the transaction of its caller.

Each change commits together with the event that tells of it. A holder's writes are fenced: they
name the lease that the claim gave out, and raise LeaseLost when the job has been taken back.
"""

from scriberrd.jobs.claiming import claim, next_due, urgent_due
from scriberrd.jobs.holder import (
    Work,
    checkpoint,
    fail,
    finish,
    loaded,
    probed,
    recover,
    release,
    renew,
    transcribed,
    twin,
    work,
)
from scriberrd.jobs.orders import cancel, cancel_requested, retry
from scriberrd.jobs.outputs import reserve, unreserve
from scriberrd.jobs.pauses import pause, paused, resume
from scriberrd.jobs.rows import Hold
from scriberrd.jobs.submission import known_bytes, newest, submit, unknown

__all__ = [
    "Hold",
    "Work",
    "cancel",
    "cancel_requested",
    "checkpoint",
    "claim",
    "fail",
    "finish",
    "known_bytes",
    "loaded",
    "newest",
    "next_due",
    "pause",
    "paused",
    "probed",
    "recover",
    "release",
    "renew",
    "reserve",
    "resume",
    "retry",
    "submit",
    "transcribed",
    "twin",
    "unknown",
    "unreserve",
    "urgent_due",
    "work",
]
