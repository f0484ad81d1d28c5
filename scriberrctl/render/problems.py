"""What is wrong with a daemon, how bad that is, and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from scriberrctl.render.daemon import UNTIMED, fault, pause, resume, tried
from scriberrctl.render.values import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.render.screen import Screen
    from scriberrctl.shapes import Outage, Status


class Problem(NamedTuple):
    """Something that somebody should see to."""

    level: Literal["warning", "critical"]
    what: str  # one word
    text: str
    fix: str  # a command, or else what to do


def problems(status: Status, screen: Screen = UNTIMED) -> list[Problem]:
    """The worst first."""
    return [*_critical(status, screen), *_warnings(status, screen)]


def _critical(status: Status, screen: Screen) -> Iterator[Problem]:
    for one in status["outages"]:
        yield Problem("critical", "outage", f"{fault(one)} ({tried(one, screen)})", _mend(one))
    for inbox in status["inboxes"]:
        if inbox["state"] == "unavailable":
            text = f"{plain(inbox['name'])} is not watched: {plain(inbox['reason'] or '?')}"
            yield Problem("critical", "inbox", text, "scriberrctl doctor")


def _warnings(status: Status, screen: Screen) -> Iterator[Problem]:
    for inbox in status["inboxes"]:
        for mount in inbox["mounts"] if inbox["state"] != "unavailable" else ():
            if mount["state"] == "unavailable":
                where = plain(f"{inbox['name']}/{mount['path']}")
                text = f"{where} is not watched: {plain(mount['reason'] or '?')}"
                yield Problem("warning", "inbox", text, "scriberrctl doctor")
    for one in status["pauses"]:
        yield Problem("warning", "paused", pause(one, screen), resume(one))
    for diarizer in status["diarizers"]:
        if diarizer["ready"] is False:
            text = f"{plain(diarizer['name'])} with {plain(diarizer['model'])} can't be used"
            yield Problem("warning", "speakers", text, plain(diarizer["error"] or ""))
    if failed := status["jobs"]["failed"]:
        jobs = "1 job" if failed == 1 else f"{failed} jobs"
        see = "scriberrctl show --state failed"
        yield Problem("warning", "failed", jobs, f"{see}; scriberrctl retry --state failed")


def _mend(outage: Outage) -> str:
    """What ends an outage."""
    if outage["error"]["code"] == "model_missing" and outage["part"] == "model":
        model = outage["name"].partition(" on ")[0]  # the device behind it
        return f"scriberrctl models pull {plain(model)}, or change model or auto_download"
    then = "then scriberrctl reload, to try it at once"
    return ", ".join(filter(None, [plain(outage["error"]["advice"]), then]))
