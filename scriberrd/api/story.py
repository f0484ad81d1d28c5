"""What has become of a job, line by line: for people who ask why."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from scriberrd.failures import FAILURES
from scriberrd.logs.lines import plain
from scriberrd.queue import queries
from scriberrd.work.disposing import WHY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scriberrd.api.rooms import Rooms
    from scriberrd.model import Event, Execution

MOST = 10_000  # lines: those of a day, block by block

RELEASED = {
    "released": "its run was given up",
    "preempted": "an urgent job went first",
    "lost": "the daemon ended while it was processing",
}
# What is said of an event; those below need more than what it has.
SAID = {
    "submitted": "queued",
    "moved": "its recording was renamed: {from} is now {to}",
    "superseded": "another version of the recording took its place: it starts anew",
    "claimed": "started on worker {worker}: run {lease}",
    "adopted": "found its transcript, nothing to do",
    "checkpointed": "transcribed up to {seconds} s",
    "published": "published the words; who says them follows",
    "diarized": "told {speakers} speakers apart in {seconds} s on {device}",
    "redone": "queued to be done anew",
    "named": "{speaker} was named, or its name taken away",
    "slow": "is slow: running for {seconds} s",
    "cancel_requested": "is to be canceled",
    "prioritized": "has priority {priority} now",
    "canceled": "canceled",
}


class _Facts(dict[str, Any]):
    """What an event has; one of an earlier version may have less."""

    def __missing__(self, key: str) -> str:
        return "?"


async def logs(rooms: Rooms, id_: int) -> web.Response:
    """The story of a job, from what is kept of it: nothing of what its workers printed."""
    runs = await rooms.store.read(queries.executions, id_)
    events = await rooms.store.read(queries.events, 0, MOST, id_)
    return web.Response(text="".join(f"{line}\n" for line in told(events, runs)))


def told(events: Iterable[Event], runs: Iterable[Execution]) -> Iterator[str]:
    """A line for each event, oldest first.

    Args:
        events: of one job.
        runs: of it.
    """
    run = None
    for event in events:
        if event.type == "claimed":
            run = next((one for one in runs if one.lease == event.data["lease"]), None)
        at = datetime.fromtimestamp(event.at, UTC)
        yield f"{at:%Y-%m-%dT%H:%M:%SZ} {plain(_said(event, run) + _by(event.data))}"


def _said(event: Event, run: Execution | None) -> str:  # noqa: PLR0911 - one of each kind
    facts = event.data.items()
    data = _Facts({key: round(one) if isinstance(one, float) else one for key, one in facts})
    match event.type:
        case "finished":
            kept = f"; kept, since edited: {data['edited']}" if "edited" in data else ""
            return f"completed{_how(run)}{kept}"
        case "failed":
            return f"failed: {_why(data['code'], run)}"
        case "retried" if "code" in data:
            due = float(str(event.data.get("not_before", event.at)))
            later = max(math.ceil(due - event.at), 0)
            soon = f"in {later} s" if later else "at once"
            step = f", with less memory: {data['fallback']}" if "fallback" in data else ""
            why = _why(data["code"], run)
            return f"back in the queue: {why}; next try {soon}{step}"
        case "retried":
            return "queued again"
        case "released":
            return f"back in the queue: {RELEASED.get(data['outcome'], data['outcome'])}"
        case "disposed":
            to = f" as {data['to']}" if data.get("to") else ""
            return f"its recording is {data['action']}{to}"
        case "kept":
            return f"its recording stays, since {WHY.get(data['why'], data['why'])}"
        case other:
            return SAID.get(other, other.replace("_", " ")).format_map(data)


def _how(run: Execution | None) -> str:
    """How a run has gone."""
    if run is None or run.finished_at is None:
        return ""
    parts = [f" in {run.finished_at - run.started_at:.1f} s"]
    if run.real_time_factor is not None:
        parts.append(f"real-time factor {run.real_time_factor:.3f}")
    if run.model is not None:
        parts.append(f"{run.model} on {run.device}, {run.compute_type}")
    return ", ".join(parts)


def _why(code: str, run: Execution | None) -> str:
    message = FAILURES[code].message if code in FAILURES else None
    detail = run.error_detail if run is not None and run.error_code == code else None
    return ": ".join(filter(None, (code, message, detail)))


def _by(data: Mapping[str, Any]) -> str:
    who = data.get("by")
    return f", by {who.name}" if who else ""
