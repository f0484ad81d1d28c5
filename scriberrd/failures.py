"""Why a job could not go on, and what follows from it: the table of all failures."""

from __future__ import annotations

from typing import Literal

import msgspec

Fault = Literal["file", "worker", "machine"]
Part = Literal["pool", "model", "output", "inbox", "store"]


class FailureKind(msgspec.Struct, frozen=True):
    """Why a job could not go on.

    The fault decides what follows. The file's: `failed` at once, since a second run would end the
    same. The worker's: retried with backoff until `retry.attempts` are used up. The machine's:
    retried for as long as it takes, and never counted against the recording: what it concerns, the
    `part`, is out and tried again with backoff; without a part the recording waits alone.
    """

    fault: Fault
    message: str
    advice: str = ""
    part: Part | None = None
    deadly: bool = False  # such a recording may have killed its worker


FAILURES: dict[str, FailureKind] = {
    "empty_file": FailureKind("file", "the file has no bytes", "copy it again"),
    "unreadable": FailureKind(
        "file", "the file can't be read", "give the daemon's user permission; it is tried again"
    ),
    "source_missing": FailureKind("file", "the file has gone", "put it back; it is tried again"),
    "not_regular": FailureKind("file", "not a regular file", "links and devices are not followed"),
    "invalid_media": FailureKind(
        "file", "no audio or video format that is known", "play it; it may be damaged"
    ),
    "no_audio_stream": FailureKind(
        "file", "the file has no sound", "play it; it may be the wrong one"
    ),
    "no_such_track": FailureKind(
        "file", "the file has no such audio track", "see audio_track in the profile"
    ),
    "empty_audio": FailureKind(
        "file", "the audio track has no samples", "play it; the recording may have been cut short"
    ),
    "read_failed": FailureKind(
        "machine", "the file could not be read to its end", "see its disk or share; it is retried"
    ),
    "engine_failed": FailureKind(
        "worker", "the engine gave up on this recording", "try another model or engine, then redo"
    ),
    "worker_crashed": FailureKind(
        "worker",
        "the worker process died",
        "see its last words in the journal; play the recording, it may be damaged",
        deadly=True,
    ),
    "worker_killed": FailureKind(
        "machine",
        "somebody killed the worker process",
        "it is tried again as it was; see who sends signals on this machine",
    ),
    "worker_stalled": FailureKind(
        "worker",
        "the worker stood still and was killed",
        "see stall_timeout and heartbeat_timeout in [[worker]], or use a smaller model",
        deadly=True,
    ),
    "out_of_memory": FailureKind(
        "worker",
        "not enough memory",
        "use a smaller model, batch_size or compute_type; see fallback_model, cpu_fallback",
        deadly=True,
    ),
    "time_limit": FailureKind(
        "worker", "the recording took too long", "see hard_limit in [retry], or use a smaller model"
    ),
    "interrupted_too_often": FailureKind(
        "worker",
        "the daemon or the machine went down in each of its last runs",
        "see what the journal says of those times, then retry",
    ),
    "internal_error": FailureKind(
        "worker", "an error inside scriberrd", "the journal has the traceback; please report it"
    ),
    "no_worker": FailureKind(
        "machine",
        "no worker process could be started",
        "see the journal; the installation may be broken, or memory or processes used up",
        part="pool",
    ),
    "engine_missing": FailureKind(
        "machine", "the engine of the profile is not installed", "install its extra", part="model"
    ),
    "model_missing": FailureKind(
        "machine",
        "the model is not there",
        "put it there, or change model or auto_download, then retry",
        part="model",
    ),
    "model_unreadable": FailureKind(
        "machine",
        "the model can't be read",
        "give the daemon's user permission for the file that is named and the folders above it",
        part="model",
    ),
    "hub_refused": FailureKind(
        "machine",
        "the model hub refuses the model",
        "check its name; a private or gated one needs HF_TOKEN in the environment of the daemon",
        part="model",
    ),
    "device_unavailable": FailureKind(
        "machine",
        "the worker's device can't be used",
        "see device and compute_type in [[worker]]",
        part="pool",
    ),
    "unsupported_setting": FailureKind(
        "file", "the engine can't do what the profile asks", "change the profile, then retry"
    ),
    "source_unavailable": FailureKind(
        "machine", "the file system of the recording is not mounted", "mount it; it is tried again"
    ),
    "source_changed": FailureKind(
        "machine", "the file changed while it was read", "its new version is queued once it settles"
    ),
    "output_unwritable": FailureKind(
        "machine",
        "the output folder can't be written",
        "give the daemon's user permission, or mount it",
        part="output",
    ),
    "output_blocked": FailureKind(
        "machine",
        "something in the output folder is in the way",
        "see what lies there by the name of the recording or its folder; it is tried again",
    ),
    "inbox_unavailable": FailureKind(
        "machine", "the inbox folder is not there", "mount it, or put it back", part="inbox"
    ),
    "store_failed": FailureKind(
        "machine", "the database can't be used", "see the journal", part="store"
    ),
    "disk_full": FailureKind(
        "machine", "the disk of the output folder is full", "make room on it", part="output"
    ),
}
