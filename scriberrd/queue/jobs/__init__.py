"""The moves of a job, in the transaction of their caller, and the looks that they begin with.

Each change commits together with the event that tells of it. A holder's writes are fenced: they
name the lease that the claim gave out, and raise LeaseLost when the job has been taken back.
"""

from scriberrd.queue.jobs.claiming import NotNow, claim, next_due, readmit, urgent_due, urgent_next
from scriberrd.queue.jobs.holder import (
    Done,
    Work,
    checkpoint,
    fail,
    finish,
    loaded,
    probed,
    release,
    renew,
    restore,
    slow,
    touched,
    transcribed,
    work,
)
from scriberrd.queue.jobs.knowing import Sorted, pass_over, renumber, unknown
from scriberrd.queue.jobs.leaving import (
    AIMED,
    Disposal,
    Hindrance,
    aim,
    are_leaving,
    call_off,
    come_back,
    disposed,
    has_warnings,
    hindered,
    hold,
    kept,
    leave,
    leave_now,
    leaving,
    leaving_count,
    let_uploads_leave,
    mark_uploaded,
    put_off,
)
from scriberrd.queue.jobs.moving import movable, move_along
from scriberrd.queue.jobs.orders import (
    cancel,
    cancel_requested,
    prioritize,
    redo,
    retry,
    take_again,
)
from scriberrd.queue.jobs.outputs import (
    begin,
    mounts,
    note_mounts,
    published,
    reserve,
    unlisted,
    unreserve,
)
from scriberrd.queue.jobs.pauses import pause, paused, reloaded, resume
from scriberrd.queue.jobs.pruning import (
    Aged,
    believe,
    ended_before,
    event_times,
    forget_output,
    is_aged,
    prune,
    prune_events,
    published_before,
    purge,
    purgeable,
    remove,
)
from scriberrd.queue.jobs.pulls import model_removed, pull_failed, pulled, pulling
from scriberrd.queue.jobs.recovery import recover
from scriberrd.queue.jobs.rows import Lease, Order, newest
from scriberrd.queue.jobs.speakers import name, require_shown
from scriberrd.queue.jobs.stages import (
    adopted,
    begin_anew,
    diarized,
    diarizing,
    killed,
    saving,
    spoken,
    words_published,
)
from scriberrd.queue.jobs.submission import (
    recognize,
    submit,
    submit_again,
    submit_all,
)
