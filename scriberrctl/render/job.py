"""Jobs and their runs, for people."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from scriberrctl.render.screen import Screen, shorten, width
from scriberrctl.render.table import table
from scriberrctl.render.values import BAR, duration, failure, plain, times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scriberrctl.shapes import Execution, Job, Progress, Sidecar, Speaker

ANYWHERE = Screen()
WIDE = 100  # columns, from which on a bar is long
NARROW = 80  # columns, below which only the most important is said
NAME = 12  # columns that are kept for the name


def fraction(job: Job) -> float | None:
    """How far a job is, 0 to 1; while the speakers are told apart, how far that is."""
    progress = job["progress"]
    return progress["fraction"] if progress["diarized"] is None else progress["diarized"]


def percent(job: Job) -> str:
    """How far a job is."""
    done = fraction(job)
    return "-" if done is None else f"{int(done * 100)} %"


def recording(job: Job) -> str:
    """Which recording a job is about."""
    return plain(f"{job['inbox']}/{job['path']}")


def bar(job: Job, screen: Screen = ANYWHERE) -> str:
    """The progress of a job, on one line that fits the screen; what says the least goes first."""
    progress, columns, name = job["progress"], screen.columns, plain(job["name"])
    length = BAR if columns is None or columns >= WIDE else BAR // 2
    filled = int((fraction(job) or 0) * length)
    first = f"job {job['id']}  [{'#' * filled}{'-' * (length - filled)}] {percent(job)}"
    stage = job["stage"] or job["state"]
    left = f"{duration(eta)} left" if (eta := progress["eta_seconds"]) is not None else ""
    rest = [_position(job) if progress["diarized"] is None else "", speed(progress), left]
    while True:
        line = "  ".join(filter(None, [first, stage, *rest]))
        room = width(name) if columns is None else columns - len(line) - 2
        if room >= min(width(name), NAME) or not rest:
            return screen.fit(f"{line}  {shorten(name, room)}")
        del rest[0]


def speed(progress: Progress) -> str:
    """How fast a job is against real time; empty: not known."""
    return times(progress["real_time_factor"])


def _position(job: Job) -> str:
    """How much of the recording is transcribed, and what of that is kept of earlier runs."""
    progress = job["progress"]
    kept = f" ({duration(kept)} kept)" if (kept := progress["kept"]) else ""
    return f"{duration(progress['seconds'])} of {duration(progress['duration'])}{kept}"


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


def jobs(
    jobs: Iterable[Job], waits: Mapping[int, str] | None = None, screen: Screen | None = None
) -> str:
    """A table of jobs.

    Args:
        jobs: its rows.
        waits: why each queued job waits, in a few words.
        screen: where it is shown; by default on stdout.
    """
    screen, waits = screen or Screen.of(sys.stdout), waits or {}
    age = "SUBMITTED" if screen.columns is None else "AGE"
    return table(
        ["ID", "STATE", "DONE", age, "DURATION", "INBOX/PATH"],
        (
            [
                str(job["id"]),
                _state(job, waits.get(job["id"]), screen),
                percent(job),
                screen.when(job["created_at"]).removesuffix(" ago"),
                "-" if (length := job["progress"]["duration"]) is None else duration(length),
                recording(job),
            ]
            for job in jobs
        ),
        screen,
        ["DURATION", "DONE", age],
    )


def _state(job: Job, why: str | None, screen: Screen) -> str:
    """The state of a job and why it waits, or, where there is little room, that alone."""
    if why is None:
        return job["state"]
    return why if screen.columns and screen.columns < NARROW else f"{job['state']}: {why}"


def details(job: Job, executions: Sequence[Execution], screen: Screen | None = None) -> str:
    """A job in detail; by default for stdout."""
    screen = screen or Screen.of(sys.stdout)
    diarized, error = job["progress"]["diarized"], job["error"]
    stage = f", {job['stage']}" if job["stage"] else ""
    who = job["submitted_by"]
    canceling = ", cancel requested" if job["cancel_requested"] else ""
    facts = {
        "state": f"{job['state']}{stage}{canceling}",
        "inbox": job["inbox"],
        "path": job["path"],
        "profile": f"{job['profile']}, priority {job['priority']}",
        "set": _set(job["set"]),
        "sidecar": _beside(job["sidecar"]),
        "progress": f"{percent(job)}, {_position(job)}" if diarized is None else percent(job),
        "language": job["language"],
        "speakers": _named(job),
        "kept": _kept(job),
        "submitted": screen.when(job["created_at"]) + (f" by {who['name']}" if who else ""),
        "started": screen.when(job["started_at"]),
        "finished": screen.when(job["finished_at"]),
        "next try": screen.when(job["not_before"]) if job["not_before"] else None,
        "lease until": screen.when(job["lease_expires_at"]) if job["lease_expires_at"] else None,
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
    told = [*facts.items(), *(("warning", warning) for warning in job["warnings"])]
    lines += [f"  {name:<12} {screen.wrap(plain(value), 15)}" for name, value in told if value]
    if executions:
        lines += ["", *_runs(executions, screen)]
    return "\n".join(lines)


def _kept(job: Job) -> str | None:
    """What of an unfinished job no later run does again."""
    kept = job["progress"]["kept"]
    if not kept or job["finished_at"] is not None:
        return None
    then = (
        "the next run goes on from there"
        if job["state"] == "queued"
        else "this run went on from there"
    )
    return f"{duration(kept)} of earlier runs; {then}"


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


def _runs(executions: Sequence[Execution], screen: Screen) -> Iterator[str]:
    """A table of the runs of a job; under each, how long its parts took."""
    headings = ["RUN", "STARTED", "WORKER", "DEVICE", "MODEL", "AUDIO", "SPEED", "OUTCOME"]
    runs = map(partial(_run, screen), executions)
    heading, *rows = table(headings, runs, screen, ["DEVICE", "MODEL", "WORKER"]).split("\n")
    yield heading
    for row, run in zip(rows, executions, strict=True):
        yield row
        seconds = {
            "download": run["download_seconds"],
            "load": run["load_seconds"],
            "transcription": run["transcribe_seconds"],
            "diarization": run["diarize_seconds"],
        }
        parts = [f"{part} {took:.1f}s" for part, took in seconds.items() if took is not None]
        if parts:
            yield f"     {screen.wrap(', '.join(parts), 5)}"


def _run(screen: Screen, run: Execution) -> list[str]:
    ended = [
        run["outcome"] or "running",
        run["error"] and run["error"]["code"],
        run["signal"],
        None if run["exit_status"] is None else f"status {run['exit_status']}",
    ]
    return [
        str(run["lease"]),
        screen.when(run["started_at"]),
        run["worker"],
        run["device"] or "-",
        run["model"] or "-",
        duration(run["audio_seconds"]),
        times(run["real_time_factor"]) or "-",
        ": ".join(filter(None, ended)),
    ]
