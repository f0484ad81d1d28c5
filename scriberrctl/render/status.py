"""The daemon at a glance, on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrctl.render.daemon import fault, watched
from scriberrctl.render.job import bar, percent, recording, speed
from scriberrctl.render.problems import Problem, problems
from scriberrctl.render.table import table
from scriberrctl.render.values import counted, plain, short, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.render.screen import Screen
    from scriberrctl.shapes import Job, JobState, Status, Worker

LABEL = 9  # columns
ENDED: tuple[JobState, ...] = ("completed", "failed", "canceled")


def status(status: Status, screen: Screen) -> str:
    """The daemon at a glance: how it is, what is wrong, and what it does."""
    found = problems(status, screen)
    lines = [_health(status, found), *_problems(found, screen), *_queue(status, screen)]
    lines += [*_workers(status, screen), *_inboxes(status), *_rest(status)]
    return "\n".join(screen.fit(line) for text in lines for line in text.split("\n"))


def summary(status: Status) -> str:
    """The daemon on one line, which changes only when something happens."""
    working = [f"job {job['id']} {percent(job)}" for job in status["processing"]]
    broken = [f"outage: {fault(one)}" for one in status["outages"]]
    return "; ".join([status["state"], counted(status["jobs"]), *working, *broken])


def check(status: Status) -> str:
    """How the daemon is on one line, as monitoring plugins say it."""
    found = problems(status)
    word = found[0].level.upper() if found else "OK"
    told = [_line(one) for one in found] or [counted(status["jobs"])]
    numbers = " ".join(f"{state}={number}" for state, number in status["jobs"].items())
    return f"SCRIBERRD {word} - {'; '.join(told).replace('|', '/')} | {numbers}"


UNKNOWN = "SCRIBERRD UNKNOWN - can't connect"


def workers(status: Status, screen: Screen) -> str:
    """A table of the workers."""
    running = {job["id"]: job for job in status["processing"]}
    headings = ["WORKER", "DEVICE", "MODEL", "STATE", "DONE", "SPEED", "JOB"]
    rows = [_row(worker, running.get(worker["job"] or 0)) for worker in status["workers"]]
    return table(headings, rows, screen, ["DEVICE", "MODEL", "SPEED"])


def _row(worker: Worker, job: Job | None) -> list[str]:
    state = worker["step"] or (job and job["stage"]) or worker["reason"] or worker["state"]
    return [
        worker["name"],
        worker["device"],
        worker["model"] or "-",
        state,
        percent(job) if job else "-",
        (speed(job["progress"]) if job else "") or "-",
        f"{job['id']} {recording(job)}" if job else "-",
    ]


def _line(problem: Problem) -> str:
    return f"{problem.what} {problem.text}"


def _health(status: Status, found: list[Problem]) -> str:
    life = f"pid {status['pid']}, up {short(status['uptime_seconds'])}"
    worse = sum(problem.level == "critical" for problem in found)
    counts = {"problem": worse, "warning": len(found) - worse}
    told = [f"{number} {what}{'s' * (number > 1)}" for what, number in counts.items() if number]
    state: str = status["state"]
    if state == "stopping" and (jobs := len(status["processing"])):
        longest = f"{status['stop_timeout']:g} s"
        state += f", up to {longest} for {jobs} job{'s' * (jobs > 1)}"
    return f"scriberrd {status['version']} is {state}: {', '.join(told) or 'all is well'} ({life})"


def _problems(found: list[Problem], screen: Screen) -> Iterator[str]:
    for problem in found:
        yield _labeled(problem.what, screen.wrap(problem.text, LABEL))
        if problem.fix:
            yield _labeled("  fix", screen.wrap(problem.fix, LABEL))


def _queue(status: Status, screen: Screen) -> Iterator[str]:
    jobs, waiting = status["jobs"], status["waiting"]
    later = {kind: waiting[kind] for kind in ("paused", "retry", "machine")}
    told = {"ready": jobs["queued"] - sum(later.values()), **later}
    names = {"retry": "to be retried", "machine": "waiting for the machine"}
    parts = [f"{number} {names.get(kind, kind)}" for kind, number in told.items() if number]
    if waiting["next_try"] is not None:
        parts.append(f"next try {screen.when(waiting['next_try'])}")
    why = f" ({', '.join(parts)})" if sum(later.values()) else ""
    settling = sum(inbox["settling"] for inbox in status["inboxes"])
    files = f", {settling} file{'s' * (settling > 1)} still changing" if settling else ""
    yield _labeled("queue", screen.wrap(f"{jobs['queued']} queued{why}{files}", LABEL))
    ended = counted({state: jobs[state] for state in ENDED})
    yield _labeled("jobs", f"{jobs['processing']} processing, {ended}")


def _workers(status: Status, screen: Screen) -> Iterator[str]:
    running = {job["id"]: job for job in status["processing"]}
    for worker in status["workers"]:
        part = f"{worker['share']} of " if worker["share"] is not None else ""
        cores = f"{part}{worker['threads']} core{'s' if worker['threads'] > 1 else ''}"
        model = f" with {plain(worker['model'])}" if worker["model"] else ""
        job = running.pop(worker["job"] or 0, None)
        doing = f": {worker['state']}" if job is None else ""
        reason = f", {plain(worker['reason'])}" if worker["reason"] else ""
        reason += f", {plain(worker['step'])}" if worker["step"] else ""
        what = f"{worker['name']} on {worker['device']}{model} ({cores}){doing}{reason}"
        yield _labeled("worker", what)
        if job is not None:
            yield f"  {bar(job, screen.inside(2))}"
    yield from (bar(job, screen) for job in running.values())  # their workers have just begun


def _inboxes(status: Status) -> Iterator[str]:
    for inbox in status["inboxes"]:
        number = inbox["settling"]
        changing = f"; {number} file{'s' * (number > 1)} still changing" if number else ""
        yield _labeled("inbox", f"{plain(inbox['name'])}: {watched(inbox)}{changing}")


def _rest(status: Status) -> Iterator[str]:
    for one in status["diarizers"]:
        if one["ready"] is not False:  # that is a problem
            ready = "ready" if one["ready"] else "being looked at"
            yield _labeled("speakers", f"{plain(one['name'])} with {plain(one['model'])}: {ready}")
    if (kept := status["library"]) and kept["results"]:
        used = f"results: {kept['results']} ({size(kept['bytes'])}), hits: {kept['hits']}"
        yield _labeled("library", used)
    if status["leaving"]:
        left = f"recordings that are still to leave their inboxes: {status['leaving']}"
        yield _labeled("leaving", left)


def _labeled(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"
