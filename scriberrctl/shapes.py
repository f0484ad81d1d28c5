"""The JSON objects of the daemon's API. Made by `make docs` from the structs of the daemon."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

JobState = Literal["queued", "processing", "completed", "failed", "canceled"]
ENDED: frozenset[JobState] = frozenset({"completed", "failed", "canceled"})


class Health(TypedDict):
    """The daemon answers."""

    status: Literal["ok"]


class Waiting(TypedDict):
    """How many queued jobs wait for what; the others are ready."""

    paused: int
    retry: int
    machine: int
    next_try: str | None


class Progress(TypedDict):
    """How far a job is."""

    seconds: float
    duration: float | None
    fraction: float | None
    diarized: float | None
    kept: float
    eta_seconds: float | None
    real_time_factor: float | None


class Failure(TypedDict):
    """Why a job failed, or is tried again."""

    code: str
    message: str
    advice: str
    detail: str


class Speaker(TypedDict):
    """Somebody who speaks in the published transcript."""

    label: str
    name: str | None
    channel: int | None


class Who(TypedDict):
    """A user of the machine."""

    uid: int
    name: str


class Sidecar(TypedDict):
    """What the files beside a recording say of how it is to be done."""

    profile: str | None
    set: dict[str, str]


class Source(TypedDict):
    """Which bytes a job is about."""

    size: int
    sha256: str | None


class Job(TypedDict):
    """A job."""

    id: int
    state: JobState
    stage: str | None
    inbox: str
    path: str
    name: str
    profile: str
    set: dict[str, str]
    diarize: str
    priority: str
    created_at: str
    queued_at: str
    started_at: str | None
    finished_at: str | None
    not_before: str | None
    lease_expires_at: str | None
    cancel_requested: bool
    redo: bool
    redo_stage: str | None
    failures: int
    interruptions: int
    fallbacks: list[str]
    progress: Progress
    language: str | None
    error: Failure | None
    outputs: list[str]
    edited: list[str]
    speakers: list[Speaker]
    warnings: list[str]
    cached: bool
    uploaded: bool
    submitted_by: Who | None
    sidecar: Sidecar | None
    disposed: str | None
    leaving: str | None
    source: Source


class Worker(TypedDict):
    """What a worker is doing right now."""

    name: str
    device: str
    model: str | None
    state: Literal["busy", "idle", "stopped"]
    job: int | None
    pid: int | None
    threads: int
    share: int | None
    step: str | None
    reason: str | None


class Mount(TypedDict):
    """Whether one of the file systems of an inbox is seen right now."""

    path: str
    kind: str
    state: Literal["duplicate", "polling", "starting", "unavailable", "watching"]
    reason: str | None


class Inbox(TypedDict):
    """Whether an inbox is seen right now."""

    name: str
    state: Literal["polling", "starting", "unavailable", "watching"]
    reason: str | None
    settling: int
    mounts: list[Mount]


class Diarizer(TypedDict):
    """A diarizer with a model, as profiles name them."""

    name: str
    model: str
    profiles: list[str]
    ready: bool | None
    error: str | None


class Outage(TypedDict):
    """A part of the machine that is at fault, and what waits for it."""

    part: str
    name: str
    since: str
    next_try: str | None
    error: Failure


class Pause(TypedDict):
    """What is paused: an inbox, a worker pool, or, without either, everything."""

    inbox: str | None
    worker: str | None
    reason: str
    since: str


class Library(TypedDict):
    """How much the library has, and how often that was of use."""

    results: int
    bytes: int
    hits: int


class Status(TypedDict):
    """The daemon at a glance."""

    version: str
    pid: int
    uptime_seconds: float
    state: Literal["running", "stopping"]
    stop_timeout: float
    jobs: dict[JobState, int]
    waiting: Waiting
    processing: list[Job]
    workers: list[Worker]
    inboxes: list[Inbox]
    diarizers: list[Diarizer]
    outages: list[Outage]
    pauses: list[Pause]
    library: Library | None
    leaving: int


class Reloaded(TypedDict):
    """The new configuration is in force."""

    warnings: list[str]


class Pauses(TypedDict):
    """All that is paused."""

    pauses: list[Pause]


class Unreadable(TypedDict):
    """What the latest scan could not read."""

    path: str
    reason: str


class Oldest(TypedDict):
    """What has waited for longest."""

    path: str
    since: str
    what: Literal["queued", "reading"]


class Content(Inbox):
    """An inbox, and what lies in it."""

    output: Literal["beside", "folder"]
    watch: str
    extensions: list[str]
    jobs: dict[JobState, int]
    ignored: dict[str, int]
    passed: dict[Literal["existing", "outputs"], int]
    odd: list[str]
    unreadable: list[Unreadable]
    reading: list[str]
    oldest: Oldest | None


class Inboxes(TypedDict):
    """All inboxes, and the names that all of them ignore, as patterns in lower case."""

    inboxes: list[Content]
    ignored_files: list[str]
    ignored_folders: list[str]


class Explanation(TypedDict):
    """What becomes of a file, and why."""

    inbox: str | None
    path: str | None
    state: Literal[
        "canceled",
        "completed",
        "duplicate",
        "failed",
        "ignored",
        "inbox",
        "missing",
        "ours",
        "outside",
        "passed",
        "processing",
        "queued",
        "reading",
        "removed",
        "settling",
        "unavailable",
        "unreadable",
        "waiting",
    ]
    text: str
    rule: str | None
    where: str | None
    job: int | None
    of: int | None
    sidecar_changed: bool


class Page(TypedDict):
    """Some jobs, and the `before` of the next page."""

    jobs: list[Job]
    next: int | None


class Execution(TypedDict):
    """One run of a job."""

    lease: int
    worker: str
    model: str | None
    device: str | None
    compute_type: str | None
    download_seconds: float | None
    load_seconds: float | None
    transcribe_seconds: float | None
    diarize_seconds: float | None
    started_at: str
    finished_at: str | None
    outcome: str | None
    error: Failure | None
    exit_status: int | None
    signal: str | None
    audio_seconds: float
    real_time_factor: float | None


class Executions(TypedDict):
    """All runs of a job."""

    executions: list[Execution]


class Model(TypedDict):
    """A model that is on this machine, or may come."""

    name: str
    repository: str | None
    revision: str | None
    installed: bool
    default: bool
    bytes: int | None
    languages: Literal["en", "many"] | None
    translate: bool | None


class Models(TypedDict):
    """The models on this machine, and those that have a name."""

    models: list[Model]


class Pull(TypedDict):
    """A model that is pulled, or was."""

    model: str
    state: Literal["pulled", "pulling"]
    repository: str
    license: str | None
    revision: str | None
    source: Literal["hub", "index"] | None
    bytes: int
    total: int | None


class Damaged(TypedDict):
    """A file of a model that is not as it should be."""

    file: str
    problem: str


class Verified(TypedDict):
    """A model whose files were read."""

    model: str
    repository: str
    revision: str
    bytes: int
    damaged: list[Damaged]


class Due(TypedDict):
    """What a pass has deleted of one kind, or would delete."""

    count: int
    names: list[str]


class Purged(TypedDict):
    """What a pass has deleted; or would delete, if it is a dry run."""

    dry_run: bool
    transcripts: Due
    uploads: Due
    jobs: Due
    events: Due


class Ended(TypedDict):
    """Jobs that have ended: all of them, or those of a day, a user or an inbox."""

    key: str | None
    completed: int
    failed: int
    canceled: int
    hits: int
    audio_seconds: float


class Speed(TypedDict):
    """How fast a model is on a device."""

    model: str
    device: str
    runs: int
    audio_seconds: float
    seconds: float
    real_time_factor: float | None


class Failures(TypedDict):
    """How many jobs have failed of something."""

    code: str
    message: str
    jobs: int


class Stats(TypedDict):
    """What was done since a time, as far as it is not forgotten."""

    since: str | None
    by: Literal["day", "inbox", "user"]
    total: Ended
    groups: list[Ended]
    speeds: list[Speed]
    failures: list[Failures]


class Event(TypedDict):
    """Something that happened."""

    id: int
    cursor: str
    at: str
    job: int | None
    type: str
    data: dict[str, Any]
