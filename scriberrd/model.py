"""The words that all rooms share: jobs, states, events. Pure values.

Times are seconds since the Unix epoch (float) unless a name says otherwise; positions in a
recording are seconds from its start.
"""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from scriberrd.asking import Who
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from scriberrd.logs.context import Subject


class Clock(Protocol):
    """Where time comes from. The `time` module is one; tests pass their own."""

    def time(self) -> float:
        """Seconds since the Unix epoch; may jump."""

    def monotonic(self) -> float:
        """Seconds since some start; never jumps."""


class JobState(enum.StrEnum):
    """The state of a job; `TRANSITIONS` holds the legal moves."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


TERMINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED})

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.PROCESSING, JobState.CANCELED}),
    JobState.PROCESSING: frozenset({JobState.QUEUED, *TERMINAL}),
    JobState.COMPLETED: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELED: frozenset({JobState.QUEUED}),
}


class Stage(enum.StrEnum):
    """What a job in `processing` is doing, in this order."""

    PREPARING = "preparing"
    TRANSCRIBING = "transcribing"
    DIARIZING = "diarizing"
    MERGING = "merging"
    SAVING = "saving"


class Priority(enum.IntEnum):
    """Smaller is claimed first."""

    URGENT = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


RedoStage = Literal["diarize", "merge"]
CHANNEL = "channel:"  # and its number, from 0: how a worker names a speaker by channel


class Identity(NamedTuple):
    """What tells one version of a file from another, as `os.stat` gives it."""

    dev: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Identity:
        """The identity of the file that `stat` describes."""
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    @property
    def version(self) -> tuple[int, int, int]:
        """What another version of the file does not share.

        The device gets another number when it is mounted, and the time of change moves with
        permissions, owner and links.
        """
        return self[1:4]


class Source(NamedTuple):
    """A recording: the inbox it lies in, its path within, and which version of it is meant."""

    inbox: str
    path: bytes  # relative to the inbox, as the file system has it: not always UTF-8
    identity: Identity
    sha256: str | None  # hexadecimal; None when the bytes could not be read


class Print(NamedTuple):
    """A file's content in short: what tells whether its bytes are still those that were written."""

    sha256: str  # hexadecimal
    size: int | None  # bytes; None: an earlier version of scriberrd has not noted it

    @classmethod
    def read(cls, text: str) -> Print:
        """One that was written by `str`."""
        sha256, _, size = text.partition(":")
        return cls(sha256, int(size) if size else None)

    def __str__(self) -> str:
        return self.sha256 if self.size is None else f"{self.sha256}:{self.size}"


def display(path: bytes) -> str:
    """A path as text that people and JSON can bear; bytes that are not UTF-8 become escapes."""
    return path.decode("utf-8", "backslashreplace")


class Fallback(msgspec.Struct, frozen=True):
    """One setting that the next run does with less of."""

    setting: Literal["batch_size", "compute_type", "device", "model"]
    before: str
    after: str

    def __str__(self) -> str:
        """As it stands in the transcript; a model's folder by its name only."""
        return f"{self.setting} {short(self.before)} -> {short(self.after)}"


def short(model: str) -> str:
    """A model as others may see it: a folder by its name only."""
    return os.path.basename(model.rstrip("/")) if model.startswith(("/", "~")) else model


class Shown(msgspec.Struct, frozen=True):
    """The speakers that a published transcript shows."""

    turns: str  # which turns they are of, in short; or the channels that they stand for
    labels: tuple[str, ...]  # in order of first speech

    @property
    def channels(self) -> dict[str, int]:
        """Which channel of the recording each label stands for, from 1; empty with turns."""
        channels = [one for one in self.turns.split() if one.startswith(CHANNEL)]
        numbers = (int(one.removeprefix(CHANNEL)) + 1 for one in channels)
        return dict(zip(self.labels, numbers, strict=False))


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """What the files beside a recording say of how it is to be done."""

    mark: str = ""  # of the content of all of them, in short; "": there are none
    profile: str | None = None  # instead of the inbox's
    given: dict[str, str] = {}  # set over the profile: key -> text
    problem: str = ""  # "talk.wav.toml:3: language: 7 is not a text"; "": none


class Leaving(NamedTuple):
    """How a recording is to leave its inbox, now that its job has ended."""

    action: Literal["archive", "delete", "quarantine"]
    target: bytes | None = None  # the name that it is to get in the archive; None: it goes nowhere


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One recording on its way to a transcript: a row of the table `job`."""

    id: int
    state: JobState
    stage: Stage | None  # while processing
    inbox: str
    path: bytes  # relative to the inbox
    identity: Identity
    sha256: str | None  # of the source's bytes; None when it could not be read
    profile: str  # the name of the profile that the settings were taken from
    settings: Settings  # as they were when the job was submitted
    priority: int
    lease: int  # the fencing token: grows with every claim, never shrinks
    lease_expires: float | None  # while processing: on the monotonic clock of the daemon
    failures: int  # what counts against the retry budget
    deaths: int  # how often it has cost a worker its life; two, and it runs alone
    interruptions: int  # runs that ended with their daemon and left no checkpoint, in a row
    fallbacks: tuple[Fallback, ...]  # what its next run does with less
    not_before: float  # a retry waits until then
    cancel_requested: bool
    redo: bool  # to be done anew; until then `outputs` are those of before
    redo_stage: RedoStage | None  # from which stage on; None: all of it
    overrides: dict[str, str]  # what was ordered over the profile: key -> text
    created_at: float
    queued_at: float
    started_at: float | None  # of the latest claim
    finished_at: float | None
    progress: float  # seconds of the recording that are transcribed
    diarized: float | None  # 0 to 1, while diarizing
    duration: float | None  # seconds, once known
    language: str | None  # of the finished transcript
    shown: Shown | None  # the speakers of the published transcript; None: it has none
    cached: bool  # its words came from the library
    uploaded: bool  # the file in the inbox is a copy that we made
    submitted_by: Who | None  # None: it was found in its inbox
    sidecar: Sidecar | None  # as it was when the job was submitted; None: it has none
    disposed: str | None  # what became of the recording; None: it is where it was
    leaving: str | None  # why it has not left yet, "": nothing hinders it; None: it stays
    warnings: tuple[str, ...]  # of the published transcript
    error_code: str | None  # of the last failure: a key of FAILURES
    error_detail: str | None  # for people; without absolute paths
    outputs: tuple[bytes, ...]  # relative to the output folder of the inbox; () until published
    edited: tuple[bytes, ...]  # published earlier and edited since: kept, a new version beside it
    names: dict[tuple[str, str], str]  # that people gave to speakers, by `Shown.turns` and label

    @property
    def name(self) -> str:
        """The file's name for people."""
        return display(os.path.basename(self.path))

    @property
    def subject(self) -> Subject:
        """What log lines about it say that they are about."""
        return {"job": self.id, "inbox": self.inbox, "path": display(self.path)}


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job on a worker."""

    job: int
    lease: int
    worker: str
    model: str | None  # None until it was loaded
    device: str | None
    compute_type: str | None
    download_seconds: float | None  # None, as with all of these: nothing of the kind was done
    load_seconds: float | None
    transcribe_seconds: float | None  # up to the latest block
    diarize_seconds: float | None  # of all that it takes: its model, too
    started_at: float
    finished_at: float | None
    outcome: str | None  # completed, failed, canceled, released, preempted, superseded, lost
    error_code: str | None
    error_detail: str | None
    returncode: int | None  # of the worker, if it died: an exit status, or a signal as -number
    audio_seconds: float  # transcribed in this run

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work a second of audio; smaller is faster."""
        if self.finished_at is None or self.audio_seconds <= 0:
            return None
        return (self.finished_at - self.started_at) / self.audio_seconds


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, committed together with the change it tells of."""

    id: int
    at: float
    job: int | None  # None: it is about a pause, a model, or a job that is forgotten
    type: str  # submitted, claimed, checkpointed, released, retried, failed, finished, canceled ...
    data: dict[str, str | int | float | Who | None]


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is doing right now."""

    name: str
    device: str  # of the model that it has loaded; until then what is configured
    model: str | None = None  # that it has loaded
    state: Literal["stopped", "idle", "busy"]
    job: int | None
    pid: int | None
    threads: int  # the cores that it may use
    share: int | None  # the cores that its run may use now
    step: str | None = None  # what it does before it gets on: "loading the model"
    reason: str | None = None  # why it claims nothing right now, for people


class MountStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one of the file systems of an inbox is seen right now."""

    path: str  # relative to the inbox; "" for the folder itself
    kind: str  # of the file system: "ext4", "cifs" ...
    state: Literal["starting", "watching", "polling", "unavailable", "duplicate"]
    reason: str | None = None  # for people; without absolute paths


class InboxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an inbox is seen right now."""

    name: str
    state: Literal["starting", "watching", "polling", "unavailable"]
    reason: str | None = None  # for people; without absolute paths
    settling: int = 0  # files that are still changing, or have a moment ago
    mounts: tuple[MountStatus, ...] = ()


class Scope(NamedTuple):
    """What can be paused."""

    kind: Literal["everything", "inbox", "worker"]
    name: str = ""  # of the inbox or worker pool

    def names(self) -> dict[str, str | None]:
        """The inbox and the worker pool that are meant; everything: neither."""
        return {kind: self.name if kind == self.kind else None for kind in ("inbox", "worker")}


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not claimed from, or does not claim, until somebody resumes it."""

    scope: Scope
    reason: str  # for people; may be empty
    since: float
