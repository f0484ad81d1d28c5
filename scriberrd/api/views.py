"""How jobs, runs and events look in JSON: no absolute path and no secret gets through here."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from scriberrd.asking import Who
from scriberrd.failures import FAILURES, advice
from scriberrd.model import Event, Execution, Job, JobState, Pause, Priority, Stage, display

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scriberrd.model import Clock, Shown, Sidecar
    from scriberrd.queue.jobs import Hindrance
    from scriberrd.work.breaker import Outage


class FailureView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job failed, or is tried again."""

    code: str
    message: str
    advice: str
    detail: str


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is."""

    seconds: float
    duration: float | None
    fraction: float | None
    diarized: float | None
    kept: float
    eta_seconds: float | None
    real_time_factor: float | None


class SpeakerView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who speaks in the published transcript."""

    label: str
    name: str | None
    channel: int | None


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """Which bytes a job is about."""

    size: int
    sha256: str | None


class SidecarView(msgspec.Struct, frozen=True, kw_only=True):
    """What the files beside a recording say of how it is to be done."""

    profile: str | None
    set: dict[str, str]


class JobView(msgspec.Struct, frozen=True, kw_only=True):
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
    fallbacks: tuple[str, ...]
    progress: ProgressView
    language: str | None
    error: FailureView | None
    outputs: tuple[str, ...]
    edited: tuple[str, ...]
    speakers: tuple[SpeakerView, ...]
    warnings: tuple[str, ...]
    cached: bool
    uploaded: bool
    submitted_by: Who | None
    sidecar: SidecarView | None
    disposed: str | None
    leaving: str | None
    source: SourceView


class ExecutionView(msgspec.Struct, frozen=True, kw_only=True):
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
    error: FailureView | None
    exit_status: int | None
    signal: str | None
    audio_seconds: float
    real_time_factor: float | None


class OutageView(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the machine that is at fault, and what waits for it."""

    part: str
    name: str
    since: str
    next_try: str | None
    error: FailureView


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    id: int
    cursor: str
    at: str
    job: int | None
    type: str
    data: dict[str, str | int | float | Who | None]


class PauseView(msgspec.Struct, frozen=True, kw_only=True):
    """What is paused: an inbox, a worker pool, or, without either, everything."""

    inbox: str | None
    worker: str | None
    reason: str
    since: str


def instant(seconds: float) -> str:
    """A time as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def job(job: Job, starts: Mapping[int, float], clock: Clock) -> JobView:
    """A job as it is seen now; `starts` tells where in the recording its run began."""
    now, lease = clock.time(), job.lease_expires
    return JobView(
        id=job.id,
        state=job.state,
        stage=job.stage,
        inbox=job.inbox,
        path=display(job.path),
        name=job.name,
        profile=job.profile,
        set=job.overrides,
        diarize=job.settings.diarize,
        priority=Priority(job.priority).name.lower(),
        created_at=instant(job.created_at),
        queued_at=instant(job.queued_at),
        started_at=_maybe(job.started_at),
        finished_at=_maybe(job.finished_at),
        not_before=_maybe(job.not_before if job.not_before > now else None),
        lease_expires_at=None if lease is None else instant(now + lease - clock.monotonic()),
        cancel_requested=job.cancel_requested,
        redo=job.redo,
        redo_stage=job.redo_stage,
        failures=job.failures,
        interruptions=job.interruptions,
        fallbacks=tuple(map(str, job.fallbacks)),
        progress=_progress(job, starts.get(job.id, 0.0), now),
        language=job.language,
        error=_maybe_failure(job.error_code, job.error_detail, job.disposed),
        outputs=tuple(display(name) for name in job.outputs),
        edited=tuple(display(name) for name in job.edited),
        speakers=tuple(_speakers(job.names, job.shown)),
        warnings=job.warnings,
        cached=job.cached,
        uploaded=job.uploaded,
        submitted_by=job.submitted_by,
        sidecar=_sidecar(job.sidecar),
        disposed=job.disposed,
        leaving=job.leaving,
        source=SourceView(size=job.identity.size, sha256=job.sha256),
    )


def _sidecar(sidecar: Sidecar | None) -> SidecarView | None:
    if sidecar is None:
        return None
    return SidecarView(profile=sidecar.profile, set=sidecar.given)


def _speakers(names: Mapping[tuple[str, str], str], shown: Shown | None) -> Iterator[SpeakerView]:
    if shown is not None:
        for label in shown.labels:
            name, channel = names.get((shown.turns, label)), shown.channels.get(label)
            yield SpeakerView(label=label, name=name, channel=channel)


def jobs(jobs: Iterable[Job], starts: Mapping[int, float], clock: Clock) -> list[JobView]:
    """Several jobs as they are seen now."""
    return [job(one, starts, clock) for one in jobs]


def execution(execution: Execution) -> ExecutionView:
    """One run of a job."""
    code = execution.returncode
    return ExecutionView(
        lease=execution.lease,
        worker=execution.worker,
        model=execution.model,
        device=execution.device,
        compute_type=execution.compute_type,
        download_seconds=execution.download_seconds,
        load_seconds=execution.load_seconds,
        transcribe_seconds=execution.transcribe_seconds,
        diarize_seconds=execution.diarize_seconds,
        started_at=instant(execution.started_at),
        finished_at=_maybe(execution.finished_at),
        outcome=execution.outcome,
        error=_maybe_failure(execution.error_code, execution.error_detail),
        exit_status=code if code is not None and code >= 0 else None,
        signal=_signal(-code) if code is not None and code < 0 else None,
        audio_seconds=execution.audio_seconds,
        real_time_factor=execution.real_time_factor,
    )


def outage(outage: Outage) -> OutageView:
    """A part of the machine that is at fault."""
    return OutageView(
        part=outage.part,
        name=outage.name,
        since=instant(outage.since),
        next_try=_maybe(outage.next_try),
        error=_failure(outage.code, outage.detail),
    )


def cursor(generation: str, id_: int) -> str:
    """Where a stream of events is: behind this one, in this generation of the database."""
    return f"{generation}-{id_}"


def hindrance(one: Hindrance) -> OutageView:
    """What keeps recordings from leaving their inbox, as a part that is at fault."""
    return OutageView(
        part="leaving",
        name=one.inbox,
        since=instant(one.since),
        next_try=instant(one.due),
        error=_failure("cannot_leave", one.error),
    )


def event(event: Event, generation: str) -> EventView:
    """Something that happened, in this generation of the database."""
    return EventView(
        id=event.id,
        cursor=cursor(generation, event.id),
        at=instant(event.at),
        job=event.job,
        type=event.type,
        data=event.data,
    )


def _maybe(seconds: float | None) -> str | None:
    return None if seconds is None else instant(seconds)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)


def _maybe_failure(
    code: str | None, detail: str | None, disposed: str | None = None
) -> FailureView | None:
    return None if code is None else _failure(code, detail, disposed)


def _failure(code: str, detail: str | None, disposed: str | None = None) -> FailureView:
    message = FAILURES.get(code, FAILURES["internal_error"]).message
    return FailureView(
        code=code, message=message, advice=advice(code, disposed), detail=detail or ""
    )


def _progress(job: Job, start: float, now: float) -> ProgressView:
    done, duration = job.progress, job.duration
    fraction = min(done / duration, 1.0) if duration else None
    if job.state is JobState.COMPLETED:
        fraction = 1.0
    factor = eta = None
    ended = now if job.state is JobState.PROCESSING else job.finished_at
    if job.started_at is not None and ended is not None and done > start:
        factor = max(ended - job.started_at, 0.0) / (done - start)
    if factor is not None and duration is not None and job.stage is Stage.TRANSCRIBING:
        eta = max(duration - done, 0.0) * factor
    return ProgressView(
        seconds=done,
        duration=duration,
        fraction=fraction,
        diarized=job.diarized,
        kept=done if job.state is JobState.QUEUED else start,
        eta_seconds=eta,
        real_time_factor=factor,
    )


def pauses(pauses: Iterable[Pause]) -> list[PauseView]:
    """What is paused."""
    return [
        PauseView(**pause.scope.names(), reason=pause.reason, since=instant(pause.since))
        for pause in pauses
    ]
