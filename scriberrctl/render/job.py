"""Jobs and their runs, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrctl.render.values import BAR, duration, failure, moment, plain, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scriberrctl.shapes import Execution, Job, Sidecar, Speaker


def fraction(job: Job) -> float | None:
    """How far a job is, 0 to 1; while the speakers are told apart, how far that is."""
    progress = job["progress"]
    return progress["fraction"] if progress["diarized"] is None else progress["diarized"]


def percent(job: Job) -> str:
    """How far a job is."""
    done = fraction(job)
    return "-" if done is None else f"{int(done * 100)} %"


def bar(job: Job) -> str:
    """The progress of a job, on one line."""
    progress = job["progress"]
    filled = int((fraction(job) or 0) * BAR)
    parts = [
        f"job {job['id']}",
        f"[{'#' * filled}{'-' * (BAR - filled)}] {percent(job)}",
        job["stage"] or job["state"],
    ]
    if progress["diarized"] is None:
        parts.append(_position(job))
    if progress["eta_seconds"] is not None:
        parts.append(f"{duration(progress['eta_seconds'])} left")
    return f"{'  '.join(parts)}  {plain(job['name'])}"


def _position(job: Job) -> str:
    """How much of the recording is transcribed."""
    progress = job["progress"]
    return f"{duration(progress['seconds'])} of {duration(progress['duration'])}"


def outcome(job: Job) -> str:
    """A job and its state, on one line."""
    line = f"job {job['id']} {job['state']}: {plain(job['name'])}"
    if job["cancel_requested"]:
        line += " (cancel requested)"
    error = job["error"]
    if error is None or job["state"] == "completed":
        return line
    return f"{line} ({failure(error)})"


def warnings(job: Job) -> list[str]:
    """What a reader of the transcript of a job should know, each on one line."""
    return [f"job {job['id']}: warning: {plain(warning)}" for warning in job["warnings"]]


def speakers(job: Job) -> str:
    """A job and who speaks in it, on one line."""
    return f"{outcome(job)}; speakers: {plain(_named(job))}"


def _named(job: Job) -> str:
    """Who speaks in the transcript of a job."""
    return ", ".join(map(_speaker, job["speakers"]))


def _speaker(speaker: Speaker) -> str:
    """A speaker with what is known of him."""
    channel = "" if speaker["channel"] is None else f"channel {speaker['channel']}"
    known = ", ".join(filter(None, (speaker["name"], channel)))
    return f"{speaker['label']} ({known})" if known else speaker["label"]


def removed(job: Job) -> str:
    """A job that was removed."""
    return f"job {job['id']} removed: {plain(job['name'])}"


def purged(job: Job) -> str:
    """A job that was removed with its transcripts, and what is left of them."""
    text = f"job {job['id']} and its transcripts removed: {plain(job['name'])}"
    left = ", ".join(map(plain, job["edited"]))
    return f"{text}; kept, because edited: {left}" if left else text


def jobs(jobs: Iterable[Job]) -> str:
    """A table of jobs."""
    return table(
        ["ID", "STATE", "DONE", "PRIORITY", "SUBMITTED", "INBOX", "PATH"],
        (
            [
                str(job["id"]),
                job["state"],
                percent(job),
                job["priority"],
                moment(job["created_at"]),
                job["inbox"],
                job["path"],
            ]
            for job in jobs
        ),
    )


def details(job: Job, executions: Sequence[Execution]) -> str:
    """A job in detail."""
    diarized, error = job["progress"]["diarized"], job["error"]
    stage = f", {job['stage']}" if job["stage"] else ""
    canceling = ", cancel requested" if job["cancel_requested"] else ""
    facts = {
        "state": f"{job['state']}{stage}{canceling}",
        "inbox": job["inbox"],
        "path": job["path"],
        "profile": f"{job['profile']}, priority {job['priority']}",
        "set": _set(job["set"]),
        "sidecar": _beside(job["sidecar"]),
        "progress": f"{_position(job)} ({percent(job)})" if diarized is None else percent(job),
        "language": job["language"],
        "speakers": _named(job),
        "submitted": moment(job["created_at"]),
        "started": moment(job["started_at"]),
        "finished": moment(job["finished_at"]),
        "next try": moment(job["not_before"]) if job["not_before"] else None,
        "lease until": moment(job["lease_expires_at"]) if job["lease_expires_at"] else None,
        "failures": str(job["failures"]) if job["failures"] else None,
        "interrupted": f"{job['interruptions']} times" if job["interruptions"] else None,
        "fallbacks": ", ".join(job["fallbacks"]),
        "error": error and f"{error['message']} [{error['code']}]",
        "detail": error and error["detail"],
        "advice": error and error["advice"],
        "outputs": ", ".join(job["outputs"]),
        "edited": ", ".join(job["edited"]),
        "cached": "its words were there already" if job["cached"] else None,
        "recording": _whereabouts(job),
        "source": f"{job['source']['size']} bytes, sha256 {job['source']['sha256'] or 'unknown'}",
    }
    lines = [f"job {job['id']}: {plain(job['name'])}"]
    lines += [f"  {name:<12} {plain(value)}" for name, value in facts.items() if value]
    lines += [f"  {'warning':<12} {plain(warning)}" for warning in job["warnings"]]
    if executions:
        lines += ["", runs(executions)]
    return "\n".join(lines)


def _whereabouts(job: Job) -> str | None:
    """What became of a recording, or is to."""
    if job["leaving"] is not None:
        return "still to leave its inbox" + (f": {job['leaving']}" if job["leaving"] else "")
    return job["disposed"] or ("a copy that was uploaded" if job["uploaded"] else None)


def _set(given: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in given.items())


def _beside(sidecar: Sidecar | None) -> str | None:
    """What the files beside a recording say."""
    if sidecar is None:
        return None
    profile = f"profile {sidecar['profile']}" if sidecar["profile"] else ""
    return ", ".join(filter(None, [profile, _set(sidecar["set"])]))


def runs(executions: Iterable[Execution]) -> str:
    """A table of the runs of a job."""
    return table(
        ["RUN", "STARTED", "WORKER", "DEVICE", "AUDIO", "SPEED", "OUTCOME"],
        (
            [
                str(run["lease"]),
                moment(run["started_at"]),
                run["worker"],
                run["device"] or "-",
                duration(run["audio_seconds"]),
                f"{1 / run['real_time_factor']:.1f}x" if run["real_time_factor"] else "-",
                ": ".join(
                    filter(
                        None,
                        [
                            run["outcome"] or "running",
                            run["error"] and run["error"]["code"],
                            run["signal"],
                            None if run["exit_status"] is None else f"status {run['exit_status']}",
                        ],
                    )
                ),
            ]
            for run in executions
        ),
    )
