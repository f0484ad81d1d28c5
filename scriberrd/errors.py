"""Every error that scriberrd raises on purpose.

A code is stable: scripts and alerts may depend on it. `status` is the HTTP status that the API
answers with, so the API needs a single error handler.

    ScriberrdError
    ├── ConfigError            the configuration can't be used
    ├── AlreadyRunning         another daemon uses the state directory
    ├── CannotInstall          the service can't be put in place
    ├── StoreError             the database can't be used
    │   ├── DatabaseForeign        it belongs to another application, or is not a database
    │   ├── DatabaseNewer          a newer scriberrd wrote it
    │   ├── DatabaseBusy           another process holds the write lock
    │   ├── DatabaseReadOnly       the file system refuses writes
    │   ├── DatabaseCorrupt        its pages are damaged
    │   │   └── NotADatabase           the first page is damaged, or it never was a database
    │   ├── DiskFailed             the disk fails to read or write
    │   └── DiskFull               no space left for the database
    ├── RequestError           a request that can't be carried out
    │   ├── Forbidden
    │   ├── JobNotFound
    │   ├── TranscriptNotReady
    │   ├── WordsNotKept
    │   ├── SpeakersNotTold
    │   ├── IllegalMove
    │   ├── InvalidRequest
    │   ├── PathOutsideInbox
    │   ├── ReloadFailed
    │   ├── UploadTooLarge
    │   ├── UploadFailed
    │   ├── PurgeFailed
    │   ├── ModelUnknown
    │   ├── ModelInUse
    │   ├── PullFailed
    │   ├── TooSlow
    │   ├── TooManyConnections
    │   └── ShuttingDown
    ├── SourceChanged          a recording is being written to
    ├── NameTaken              somebody else's file has the name of an output
    ├── OutputChanged          somebody edits a published file right now
    ├── LeaseLost              a run whose lease has ended tried to write
    ├── TaskFailed             a recording can't be transcribed (carries a failure code)
    └── WorkerDied             a worker process ended before its task did

    OSError
    ├── NoAnswer               a file system does not answer
    ├── InboxUnavailable       an inbox folder, or its file system, is missing
    ├── SourceUnavailable      the file system of a folder in it is not mounted
    ├── OutputUnavailable      an output folder, or its file system, is missing
    ├── NotRegular             a path leads to something other than a regular file
    └── FileNotFoundError
        └── Unmounted              what was mounted at an output folder is not
"""

from __future__ import annotations

import errno
from typing import ClassVar

from scriberrd.model import display


class ScriberrdError(Exception):
    """The base of all errors here; `str(error)` is a message for people."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500


class ConfigError(ScriberrdError):
    """The configuration can't be used: each problem names file, line, key, value and the rule."""

    code = "config_invalid"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class AlreadyRunning(ScriberrdError):
    """Another daemon uses this state directory; it keeps its socket and its jobs."""

    code = "already_running"
    status = 503


class CannotInstall(ScriberrdError):
    """The service can't be put in place."""


class StoreError(ScriberrdError):
    """The database can't be used."""

    code = "store_failed"
    status = 503


class DatabaseForeign(StoreError):
    """The file is not a database, or another application's; it was left untouched."""

    code = "database_foreign"


class DatabaseNewer(StoreError):
    """A newer scriberrd wrote this database; it was left untouched."""

    code = "database_newer"


class DatabaseBusy(StoreError):
    """Another process holds the write lock of the database."""

    code = "busy"


class DatabaseReadOnly(StoreError):
    """The file system of the database refuses writes."""

    code = "read_only"


class DatabaseCorrupt(StoreError):
    """Pages of the database are damaged; the next start of the daemon replaces it."""

    code = "database_corrupt"


class NotADatabase(DatabaseCorrupt):
    """The file does not begin like a database: it is damaged, or never was one."""


class DiskFailed(StoreError):
    """The disk fails to read or write: the last writes may be lost, so the daemon stops."""

    code = "disk_failed"


class DiskFull(StoreError):
    """No space is left for the database; the transaction was rolled back."""

    code = "disk_full"


class RequestError(ScriberrdError):
    """A request that can't be carried out as asked."""

    code = "invalid_request"
    status = 400


class Forbidden(RequestError):
    """Who asks is neither root nor the daemon's user, nor a member of its group."""

    code = "forbidden"
    status = 403


class JobNotFound(RequestError):
    """There is no job with this id."""

    code = "job_not_found"
    status = 404

    def __init__(self, job: int) -> None:
        super().__init__(f"there is no job {job}")
        self.job = job


class TranscriptNotReady(RequestError):
    """The job has no transcript yet, or its files are gone."""

    code = "transcript_not_ready"
    status = 409


class WordsNotKept(RequestError):
    """The words of the job are not kept any more: a stage can't be redone alone."""

    code = "words_not_kept"
    status = 409

    def __init__(self, job: int) -> None:
        super().__init__(f"the words of job {job} are not kept any more: redo it without --stage")
        self.job = job


class SpeakersNotTold(RequestError):
    """There are words of the job, but nothing that tells who says them."""

    code = "speakers_not_told"
    status = 409

    def __init__(self, job: int) -> None:
        super().__init__(
            f"the speakers of job {job} are not told apart: redo it with --stage diarize"
        )
        self.job = job


class IllegalMove(RequestError):
    """The job's state does not allow this; nothing was changed."""

    code = "illegal_move"
    status = 409

    def __init__(self, job: int, state: str, verb: str) -> None:
        super().__init__(f"job {job} is {state}: it can't {verb}")
        self.job, self.state, self.verb = job, state, verb


class InvalidRequest(RequestError):
    """A field of the request is missing, of the wrong type or out of range."""

    code = "invalid_request"
    status = 422


class PathOutsideInbox(RequestError):
    """The path is not in an inbox; the error does not tell whether the file exists."""

    code = "path_outside_inbox"
    status = 422


class ReloadFailed(RequestError):
    """The configuration can't be used as it is now: the daemon keeps the one that it has."""

    code = ConfigError.code
    status = 422

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UploadTooLarge(RequestError):
    """The uploaded recording is larger than `daemon.max_upload`."""

    code = "upload_too_large"
    status = 413


class UploadFailed(RequestError):
    """The upload can't be stored in its inbox; nothing of it was kept."""

    code = "upload_failed"
    status = 503


class PurgeFailed(RequestError):
    """What is published of a job, or a model, can't be deleted; it stays."""

    code = "purge_failed"
    status = 503


class ModelUnknown(RequestError):
    """No model has this name; the error lists those that are known."""

    code = "model_unknown"
    status = 404


class ModelInUse(RequestError):
    """A profile or a job needs the model; it was not removed."""

    code = "model_in_use"
    status = 409


class PullFailed(RequestError):
    """The model can't be had, neither from the hub nor from the package index."""

    code = "pull_failed"
    status = 503


class TooSlow(RequestError):
    """The client sent too little of its request for too long."""

    code = "request_timeout"
    status = 408


class TooManyConnections(RequestError):
    """The limit of connections is reached, and all of them are active."""

    code = "too_many_connections"
    status = 503


class ShuttingDown(RequestError):
    """The daemon is stopping; what was accepted before stays queued."""

    code = "shutting_down"
    status = 503


class SourceChanged(ScriberrdError):
    """The file changed while it was read, or after it had settled: let it settle again."""

    code = "source_changed"
    status = 409

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{display(path)!r} is changing")
        self.path = path


class NameTaken(ScriberrdError):
    """A file that is not ours has this name; nothing of the set was written."""

    code = "name_taken"
    status = 409

    def __init__(self, name: bytes) -> None:
        super().__init__(f"there is a file of somebody else: {display(name)!r}")
        self.name = name


class OutputChanged(ScriberrdError):
    """Somebody has changed a file since it was looked at; it was left as it is."""

    code = "output_changed"
    status = 409


class LeaseLost(ScriberrdError):
    """The run's lease has ended, so its result is dropped."""

    code = "lease_lost"
    status = 409

    def __init__(self, job: int, lease: int) -> None:
        super().__init__(f"lease {lease} of job {job} is no longer valid")
        self.job, self.lease = job, lease


class TaskFailed(ScriberrdError):
    """A recording can't be transcribed; `failure` is a code of `failures.FAILURES`."""

    code = "task_failed"

    def __init__(self, failure: str, detail: str = "") -> None:
        super().__init__(f"{failure}: {detail}" if detail else failure)
        self.failure, self.detail = failure, detail


class WorkerDied(ScriberrdError):
    """A worker process ended before its task did; `failure` is a code of `failures.FAILURES`."""

    code = "worker_died"

    def __init__(
        self, status: int, stderr: str, failure: str = "worker_crashed", detail: str = ""
    ) -> None:
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        super().__init__(detail or f"the worker {how}")
        self.returncode, self.stderr, self.failure = status, stderr, failure


class NoAnswer(OSError):
    """The file system of a folder does not answer; the outcome of the call is unknown."""

    def __init__(self) -> None:
        super().__init__(errno.ETIMEDOUT, "its file system does not answer")


class InboxUnavailable(OSError):
    """The inbox folder is missing, or its file system is not mounted."""


class SourceUnavailable(OSError):
    """The folder of a recording exists, but its file system is not mounted."""


class OutputUnavailable(OSError):
    """An output folder can't be looked at, or its file system is not mounted."""


class NotRegular(OSError):
    """The path leads to a link, a directory, a device, a FIFO or a socket, or through a link."""


class Unmounted(FileNotFoundError):
    """What was mounted when files were published is not mounted now."""

    def __init__(self) -> None:
        super().__init__(
            errno.ENOENT,
            "its file system is not mounted; mount it, or put a file there if it is a plain folder",
        )
