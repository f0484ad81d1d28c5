"""The daemon for people: its status, what is out or paused, its models and its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scriberrctl.render.job import bar, percent
from scriberrctl.render.values import BAR, counted, duration, failure, moment, plain, size, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scriberrctl.shapes import Event, Inbox, Model, Mount, Outage, Pause, Pull, Status


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


def watched(one: Inbox | Mount) -> str:
    """How an inbox or a mount is watched, and why not otherwise."""
    return f"{one['state']}: {plain(one['reason'])}" if one["reason"] else one["state"]


def outage(outage: Outage) -> str:
    """What is out, why, when it is tried next, and what to do; on one line."""
    then = f"next try {moment(outage['next_try'])}" if outage["next_try"] else "trying now"
    line = f"{outage['part']} {plain(outage['name'])}: {failure(outage['error'])} ({then})"
    return f"{line}; advice: {plain(advice)}" if (advice := outage["error"]["advice"]) else line


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
    if who := event["data"].get("by"):
        facts = {**facts, "by": who["name"]}
    data = " ".join(f"{key}={value}" for key, value in facts.items() if value is not None)
    return plain(f"{moment(event['at'])}  {event['id']}  {about}  {event['type']}  {data}").rstrip()
