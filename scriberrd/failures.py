"""The table of all failures: why a job could not continue, and what follows."""

from __future__ import annotations

from typing import Literal

import msgspec

Fault = Literal["file", "worker", "machine"]
Part = Literal["pool", "model", "diarizer", "output", "inbox", "store"]


class FailureKind(msgspec.Struct, frozen=True):
    """A kind of failure; its fault decides what follows.

    A fault of the file: the job fails at once, because a second run would fail too. A fault of the
    worker: the job is retried with backoff, at most `retry.attempts` times. A fault of the machine:
    the job is retried for as long as it takes, and nothing is counted against it. If the fault has
    a `part`, that part is in an outage and is retried with backoff; else only this job waits.
    """

    fault: Fault
    message: str
    advice: str = ""
    part: Part | None = None
    deadly: bool = False  # the recording may have killed its worker


def left(disposed: str) -> str:
    """What became of a recording that has left its inbox, and what to do; see `Job.disposed`."""
    what, _, name = disposed.partition(" ")
    if what == "gone":
        return "somebody has taken its recording away"
    return f"its recording was {what}" + (f" as {name}: put it back first" if name else "")


FAILURES: dict[str, FailureKind] = {
    "empty_file": FailureKind("file", "the file has no bytes", "copy it again"),
    "unreadable": FailureKind(
        "file", "the file can't be read", "give the daemon's user permission; it is then retried"
    ),
    "source_missing": FailureKind(
        "file", "the file is gone", "put it, or the path of its inbox, back; it is then retried"
    ),
    "not_regular": FailureKind("file", "not a regular file", "links and devices are not followed"),
    "invalid_media": FailureKind(
        "file", "unknown audio or video format", "play it: it may be damaged"
    ),
    "no_audio_stream": FailureKind(
        "file", "the file has no sound", "play it; it may be the wrong one"
    ),
    "no_such_track": FailureKind(
        "file", "the file does not have this audio track", "see audio_track in the profile"
    ),
    "empty_audio": FailureKind(
        "file", "the audio track is empty", "play it: the recording may have been cut short"
    ),
    "read_failed": FailureKind(
        "machine", "the file can't be read to its end", "check its disk or share; it is retried"
    ),
    "engine_failed": FailureKind(
        "worker", "the engine failed on this recording", "try another model or engine, then redo"
    ),
    "worker_crashed": FailureKind(
        "worker",
        "the worker process died",
        "see its last output in the journal; play the recording: it may be damaged",
        deadly=True,
    ),
    "worker_killed": FailureKind(
        "machine",
        "somebody killed the worker process",
        "it is retried; find out who sends signals on this machine",
    ),
    "worker_stalled": FailureKind(
        "worker",
        "the worker stalled and was killed",
        "see stall_timeout and heartbeat_timeout in [[worker]], or use a smaller model",
        deadly=True,
    ),
    "out_of_memory": FailureKind(
        "worker",
        "out of memory",
        "use a smaller model, batch_size or compute_type, or set fallback_model or cpu_fallback",
        deadly=True,
    ),
    "time_limit": FailureKind(
        "worker", "the run took too long", "see hard_limit in [retry], or use a smaller model"
    ),
    "interrupted_too_often": FailureKind(
        "worker",
        "the daemon or the machine went down during each of its last runs",
        "see the journal of those times, then retry",
    ),
    "internal_error": FailureKind(
        "worker", "an error inside scriberrd", "the journal has the traceback; please report it"
    ),
    "no_worker": FailureKind(
        "machine",
        "can't start a worker process",
        "see the journal: the installation may be broken, or memory or processes used up",
        part="pool",
    ),
    "engine_missing": FailureKind(
        "machine", "the profile's engine is not installed", "install its package", part="model"
    ),
    "model_missing": FailureKind(
        "machine",
        "the model is missing",
        "download it, or change model or auto_download, then retry",
        part="model",
    ),
    "model_unreadable": FailureKind(
        "machine",
        "the model can't be read",
        "give the daemon's user permission for the named file and the folders above it",
        part="model",
    ),
    "model_altered": FailureKind(
        "machine",
        "what the package index has is not the model",
        "nothing of it is kept: see which index pip is configured to use, or let the machine reach"
        " the model hub",
        part="model",
    ),
    "hub_refused": FailureKind(
        "machine",
        "the model hub refuses access to the model",
        "check its name; a private or gated model needs HF_TOKEN in the daemon's environment",
        part="model",
    ),
    "device_unavailable": FailureKind(
        "machine",
        "the worker's device can't be used",
        "see device and compute_type in [[worker]]",
        part="pool",
    ),
    "diarizer_missing": FailureKind(
        "machine",
        "the profile's diarizer is not installed",
        "install it: pip install 'scriberrd[diarization]'",
        part="diarizer",
    ),
    "diarization_model_missing": FailureKind(
        "machine",
        "the diarization model is missing",
        "download it with `hf download` and its id, or change diarization_model or auto_download,"
        " then retry",
        part="diarizer",
    ),
    "diarization_refused": FailureKind(
        "machine",
        "the model hub refuses access to the diarization model",
        "accept its terms on its page of the hub, and give the daemon a token of that account:"
        " the credential hf_token, or HF_TOKEN in its environment",
        part="diarizer",
    ),
    "diarization_device": FailureKind(
        "machine",
        "the diarizer's device can't be used",
        "see diarize_device in [[worker]]",
        part="diarizer",
    ),
    "diarization_failed": FailureKind(
        "worker",
        "the diarizer failed on this recording",
        "try another diarization_model, then retry; or do without speakers:"
        " retry --set diarize=off",
    ),
    "diarizer_unusable": FailureKind(
        "file", "the speakers can't be told apart again", "its files stay as they were; then retry"
    ),
    "too_long_to_diarize": FailureKind(
        "file",
        "the recording is longer than max_diarize",
        "raise max_diarize in the profile if memory allows, then retry; or do without speakers:"
        " retry --set diarize=off",
    ),
    "too_short": FailureKind(
        "file", "the recording is too short", "see min_duration of its inbox, then retry"
    ),
    "too_long": FailureKind(
        "file", "the recording is too long", "see max_duration of its inbox, then retry"
    ),
    "too_large": FailureKind(
        "file", "the recording is too large", "see max_size of its inbox, then retry"
    ),
    "bad_sidecar": FailureKind(
        "file",
        "what lies beside the recording can't be used",
        "mend the file beside the recording; it is then retried",
    ),
    "unsupported_setting": FailureKind(
        "file", "the engine does not support the profile", "change the profile, then retry"
    ),
    "source_unavailable": FailureKind(
        "machine", "the recording's file system is not mounted", "mount it; it is then retried"
    ),
    "source_changed": FailureKind(
        "machine", "the file changed while it was read", "its new version is queued once it settles"
    ),
    "just_written": FailureKind(
        "machine",
        "the file can't be used, and was written a moment ago",
        "it may not be complete yet: it is tried once more",
    ),
    "output_unwritable": FailureKind(
        "machine",
        "the output folder can't be written",
        "give the daemon's user permission, or mount it",
        part="output",
    ),
    "cannot_leave": FailureKind(
        "machine",
        "recordings can't leave their inbox",
        "create or mount the archive, and let the daemon's user write there and to the inbox",
    ),
    "output_blocked": FailureKind(
        "machine",
        "something in the output folder is in the way",
        "see what has the name of the recording or its folder there; it is retried",
    ),
    "inbox_unavailable": FailureKind(
        "machine",
        "the inbox folder is missing",
        "mount it, or put it back, into the configuration, too; or cancel its jobs",
        part="inbox",
    ),
    "store_failed": FailureKind(
        "machine", "the database can't be used", "see the journal", part="store"
    ),
    "disk_full": FailureKind(
        "machine", "the disk of the output folder is full", "free some space", part="output"
    ),
}


def advice(code: str | None, disposed: str | None) -> str:
    """What to do about a failure of a job; of an unknown code, what is said of an internal error.

    Args:
        code: of the failure.
        disposed: what became of the recording of the job.
    """
    if code == "source_missing" and disposed is not None:
        return left(disposed)
    return FAILURES.get(code or "", FAILURES["internal_error"]).advice
